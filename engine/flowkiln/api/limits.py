"""How much fits into a FlowRun's status: the schema refuses more, so whoever writes a status cuts it to this."""

from __future__ import annotations

from typing import Final

MAX_STATUS_BYTES: Final = 512 * 1024
"""The most bytes of JSON that `status.flow` and `status.tasks` take together."""
MAX_TASKS: Final = 10_000
"""The most entries of `status.tasks`."""
MAX_MESSAGE: Final = 1024
"""The longest message of a task run, the flow run, or the run."""
MAX_TRACEBACK: Final = 4096
"""The longest traceback. Its end matters, so the beginning is cut."""
MAX_FAILURES_WITH_TEXT: Final = 10
"""How many tasks of a run have message and traceback."""
MAX_INDEXES: Final = 4096
"""The longest text of index ranges."""
MAX_STATES: Final = 64
"""The most states that are told apart in counts."""
MAX_UID: Final = 64
"""The longest UID of a pod."""
