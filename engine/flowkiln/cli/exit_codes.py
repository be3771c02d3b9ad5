"""What `flowkiln run` and `flowkiln lint` end with; the help text of `run` is made of this table."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the commands that need no cluster. Click itself uses 2 for wrong usage."""

    SUCCESS = 0
    FAILED = 1
    INVALID = 2
    LOAD_FAILED = 3
    PAUSED = 4
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """One line for the help text."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.SUCCESS: "the flow run ended as Success",
    ExitCode.FAILED: "the flow run ended as Failed, or took longer than its timeout",
    ExitCode.INVALID: "wrong usage, an invalid document, or parameters that do not fit",
    ExitCode.LOAD_FAILED: "the flow's code cannot be imported, or there is no flow in it",
    ExitCode.PAUSED: "only Paused tasks are left, which wait for someone to resume them",
    ExitCode.INTERRUPTED: "ended by Ctrl-C or SIGTERM",
}
