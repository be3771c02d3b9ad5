"""Event loops for code that expects to run in a program's main thread."""

from __future__ import annotations

import asyncio


class _LoopInEachThread(asyncio.DefaultEventLoopPolicy):
    """A policy that creates an event loop for a thread that has none, or a closed one."""

    def get_event_loop(self) -> asyncio.AbstractEventLoop:
        try:
            loop = super().get_event_loop()
            if not loop.is_closed():
                return loop
        except RuntimeError:  # this thread has none
            pass
        loop = self.new_event_loop()
        self.set_event_loop(loop)
        return loop


def give_each_thread_a_loop() -> None:
    """Make `asyncio.get_event_loop()` work in all threads of this process, as in a program's main thread.

    A policy set by others is kept. Only for processes that Flowkiln starts.
    """
    if type(asyncio.get_event_loop_policy()) is asyncio.DefaultEventLoopPolicy:
        asyncio.set_event_loop_policy(_LoopInEachThread())
