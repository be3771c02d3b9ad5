"""Exit codes of `flowkiln run` and `flowkiln lint`; the help text of `run` is generated from this table."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the commands that need no cluster. Click uses 2 for usage errors."""

    SUCCESS = 0
    FAILED = 1
    INVALID = 2
    LOAD_FAILED = 3
    PAUSED = 4
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """Return the line of the help text."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.SUCCESS: "the flow run ended as Success",
    ExitCode.FAILED: "the flow run ended as Failed, or took longer than its timeout",
    ExitCode.INVALID: "wrong usage, an invalid document, or invalid parameters",
    ExitCode.LOAD_FAILED: "the flow's code cannot be imported, or it has no flow",
    ExitCode.PAUSED: "only Paused tasks are left, which wait to be resumed",
    ExitCode.INTERRUPTED: "ended by Ctrl-C or SIGTERM",
}
