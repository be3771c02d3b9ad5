from __future__ import annotations

import subprocess
import sys

import pytest

TAKEN_BACK = """
import threading
from flowkiln.common.thread_exceptions import raise_in, take_back

class Stop(Exception): pass

def body():
    with lock:
        raise_in(threading.get_ident(), Stop)
        take_back()

lock = threading.Lock()
thread = threading.Thread(target=body)
thread.start()
thread.join()
assert not lock.locked()
"""

LEFT_BEHIND = """
import threading
from flowkiln.engine.bodies.timeouts import DeadlineExceeded, call_with_deadline

def caller():
    lock = threading.Lock()
    lock.acquire()
    try:
        call_with_deadline(lock.acquire, 0.01, {})
    except DeadlineExceeded:
        print("left behind")

thread = threading.Thread(target=caller)
thread.start()
thread.join()
"""

PROFILED = """
import sys

def call(): pass

calls = []
sys.setprofile(lambda *_: calls.append(1))
call()
sys.setprofile(None)
assert calls
print("profiled")
"""


@pytest.mark.parametrize("program", [TAKEN_BACK, LEFT_BEHIND], ids=["taken back", "left behind"])
def test_profilers_work_after_it(program: str) -> None:
    """Setting no exception takes one back too, but then Python 3.11 hangs in every profiler, debugger and tracer."""
    ended = subprocess.run(
        [sys.executable, "-c", program + PROFILED], capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.stdout.endswith("profiled\n"), ended.stderr
