"""Hard deadlines for calls in any thread.

Any result or exception of a body after its deadline, except signals, counts as exceeded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from flowkiln.engine.bodies.alarms import Alarm
from flowkiln.engine.bodies.deadlines import DeadlineExceeded, is_stop
from flowkiln.engine.bodies.interrupts import is_interrupt
from flowkiln.engine.bodies.registry import BodyInterrupted
from flowkiln.engine.bodies.threads import OwnThread, ThreadSlot, WatchedThread
from flowkiln.states.signals import ENDRUN, StateSignal

__all__ = ["DeadlineExceeded", "call_in_time", "call_with_deadline"]


def call_with_deadline(
    fn: Callable[..., Any],
    timeout: float | None,
    kwargs: Mapping[str, Any],
    *,
    name: str = "a call",
    on_stuck: Callable[[], None] | None = None,
    slot: Callable[[], ThreadSlot] | None = None,
) -> Any:
    """Call `fn(**kwargs)`; raise DeadlineExceeded when it takes longer than `timeout` seconds (None: no limit).

    In the main thread an alarm ends the call. In other threads the call runs in a new thread with the `slot` of this
    one, and is left behind if it cannot be stopped; or, with `on_stuck`, it runs in this thread, and `on_stuck` is
    called in another one to end the process. `name` identifies the call in messages.
    """
    if timeout is None:
        return fn(**kwargs)
    caller: Alarm | WatchedThread | OwnThread
    if threading.current_thread() is threading.main_thread():
        caller = Alarm(timeout)
    elif on_stuck is not None:
        caller = WatchedThread(timeout, on_stuck)
    else:
        caller = OwnThread(timeout, name, None if slot is None else slot())
    message = f"took longer than {timeout:g} s"
    try:
        value = caller.call(fn, kwargs)
    except (StateSignal, ENDRUN):
        raise
    except BaseException as error:
        for_others = isinstance(error, BodyInterrupted) or is_interrupt(error)
        if not caller.fired or for_others or type(error) is DeadlineExceeded:
            raise
        if is_stop(error):
            # Keep the traceback of the body.
            raise DeadlineExceeded(message).with_traceback(error.__traceback__) from None
        raise DeadlineExceeded(message) from error
    if caller.fired:
        raise DeadlineExceeded(message)
    return value


def call_in_time(fn: Callable[..., Any], *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:
    """Call `fn(*args, **kwargs)`; raise TimeoutError when it takes longer than `timeout` seconds."""
    return call_with_deadline(lambda: fn(*args, **kwargs), timeout, {})
