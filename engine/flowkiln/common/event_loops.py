"""Event loops for code that expects to run in a program's main thread."""

from __future__ import annotations

import asyncio


class _LoopInEachThread(asyncio.DefaultEventLoopPolicy):
    """Makes an event loop for a thread that asks for its own and has none, or has a closed one."""

    def get_event_loop(self) -> asyncio.AbstractEventLoop:
        try:
            loop = super().get_event_loop()
            if not loop.is_closed():
                return loop
        except RuntimeError:  # there is none in this thread
            pass
        loop = self.new_event_loop()
        self.set_event_loop(loop)
        return loop


def give_each_thread_a_loop() -> None:
    """Let `asyncio.get_event_loop()` work in all threads of this process, as it does in a program's main thread.

    A policy that somebody else has set stays. For processes of our own.
    """
    if type(asyncio.get_event_loop_policy()) is asyncio.DefaultEventLoopPolicy:
        asyncio.set_event_loop_policy(_LoopInEachThread())
