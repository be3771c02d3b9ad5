"""Tracebacks for authors of flows: their own frames, without those of the machinery that called them."""

from __future__ import annotations

import traceback
from types import TracebackType

_MACHINERY = ("flowkiln", "importlib", "_frozen_importlib")


def user_traceback(error: BaseException) -> str:
    """Format an error from the first frame on that is neither flowkiln's nor the import system's.

    Empty if there is no such frame: then the error says nothing that its message does not.
    """
    frames = error.__traceback__
    while frames is not None and _is_machinery(frames):
        frames = frames.tb_next
    if frames is None and not isinstance(error, SyntaxError):
        return ""
    return "".join(traceback.format_exception(type(error), error, frames, chain=False))


def _is_machinery(frames: TracebackType) -> bool:
    module = str(frames.tb_frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] in _MACHINERY
