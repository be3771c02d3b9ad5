"""Import user modules: report whatever they raise, and let only a real Ctrl-C through."""

from __future__ import annotations

import importlib
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, ModuleType

from flowkiln.common.exceptions import FlowLoadError
from flowkiln.common.safe_text import safe_str


def import_module(name: str, what: str) -> ModuleType:
    """Import a module.

    Raises:
        ModuleNotFoundError: it, or a module that it imports, does not exist.
        FlowLoadError: the import raised another exception, `SystemExit` included. The message begins with `what`.
        KeyboardInterrupt: a person pressed Ctrl-C during the import.
    """
    with _watching_for_ctrl_c() as pressed:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and pressed.yes:
                raise
            text = safe_str(error)
            raise FlowLoadError(f"{what} raised {type(error).__name__}{f': {text}' if text else ''}") from error


@dataclass
class _Pressed:
    yes: bool = False


@contextmanager
def _watching_for_ctrl_c() -> Iterator[_Pressed]:
    """Distinguish a real Ctrl-C from a KeyboardInterrupt that a module raises itself.

    Ctrl-C reaches only the main thread. If another handler is installed there, every KeyboardInterrupt counts as real.
    """
    pressed = _Pressed()
    before = signal.getsignal(signal.SIGINT)
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or before is not signal.default_int_handler:
        pressed.yes = in_main
        yield pressed
        return

    def handle(number: int, frame: FrameType | None) -> None:
        pressed.yes = True
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, handle)
    try:
        yield pressed
    finally:
        if signal.getsignal(signal.SIGINT) is handle:
            signal.signal(signal.SIGINT, before)
