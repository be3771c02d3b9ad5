"""Tracebacks for authors of flows: only their own frames, without the engine's."""

from __future__ import annotations

import traceback
from types import TracebackType

from flowkiln.common.safe_text import encodable
from flowkiln.common.source_folders import name_in_source

_OURS = frozenset({"flowkiln", "flowkiln_operator"})

_PLUMBING = frozenset(
    {
        "importlib",
        "_frozen_importlib",
        "concurrent",
        "threading",
        "asyncio",
        "contextlib",
        "distributed",
        "dask",
        "tornado",
    }
)
"""Modules through which the engine calls bodies. If a body calls them itself, their frames are kept."""


def user_traceback(error: BaseException) -> str:
    """Return an error and its causes formatted without the engine's frames.

    Empty if there are only engine frames: the traceback would add nothing to the message.
    """
    formatted = traceback.TracebackException.from_exception(error, lookup_lines=False)
    if not _keep_frames_of_users(formatted, error) and not isinstance(error, SyntaxError):
        return ""
    return encodable("".join(formatted.format()))


def _keep_frames_of_users(formatted: traceback.TracebackException, error: BaseException) -> bool:
    """Remove the engine's frames from an error and its causes; return whether the error has a frame left."""
    pairs, seen = [(formatted, error)], set[int]()
    while pairs:
        one, its_error = pairs.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.stack = _stack(its_error.__traceback__)
        if isinstance(its_error, SyntaxError) and one.filename:
            one.filename = name_in_source(one.filename)
        for inner, its_inner in ((one.__cause__, its_error.__cause__), (one.__context__, its_error.__context__)):
            if inner is not None and its_inner is not None:
                pairs.append((inner, its_inner))
        if isinstance(its_error, BaseExceptionGroup) and one.exceptions:
            pairs.extend(zip(one.exceptions, its_error.exceptions, strict=False))
    return bool(formatted.stack)


def _stack(frames: TracebackType | None) -> traceback.StackSummary:
    stack = traceback.extract_tb(_without_machinery(frames))
    for frame in stack:
        # The line is looked up by the real file name, before it is replaced by the display name.
        _ = frame.line
        frame.filename = name_in_source(frame.filename)
    return stack


def _without_machinery(frames: TracebackType | None) -> TracebackType | None:
    kept: list[TracebackType] = []
    inside_ours = True
    while frames is not None:
        module = str(frames.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        inside_ours = module in _OURS or (inside_ours and module in _PLUMBING)
        if not inside_ours:
            kept.append(frames)
        frames = frames.tb_next
    linked: TracebackType | None = None
    for one in reversed(kept):
        linked = TracebackType(linked, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return linked
