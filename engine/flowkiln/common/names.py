"""Names that flows give: how a task's name becomes its local id, and which arguments no body can have."""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 63
RESERVED_ARGUMENTS = frozenset({"upstream_tasks", "mapped", "task_args", "flow"})
"""Arguments of `Task.__call__`, `bind` and `map` themselves."""

_DEFAULT_ID = "task"
_ID = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def local_id(name: str) -> str:
    """Return a name as a local id: of `[a-z0-9-]`, with a letter or digit at both ends, at most 63 characters long.

    A name that is one already stays as it is.
    """
    if _ID.fullmatch(name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_LENGTH].rstrip("-") or _DEFAULT_ID
