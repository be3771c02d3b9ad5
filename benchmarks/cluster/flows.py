"""The flows that are measured. Their tasks are trivial, and fail when they do not get what they should."""

from __future__ import annotations

from typing import Any

from tests.cluster.flowkiln.flows import example, make_flow

CHAIN = 10
FAN_OUT = 50

SOURCE = '''
import time


def one():
    return 1


def plus_one(number):
    return number + 1


def must_be_nine(number):
    if number != 9:
        raise ValueError(f"the chain gave {number}, not 9")


def must_get_one(number):
    if number != 1:
        raise ValueError(f"the first task gave {number}, not 1")


def numbers(count):
    return list(range(count))


def hold(numbers, count, seconds):
    """Check what was mapped, and keep everything as it is for a while, so that it can be looked at."""
    if sum(numbers) != count * (count + 1) // 2:
        raise ValueError(f"the children gave {sum(numbers)} in all")
    time.sleep(seconds)
'''

Object = dict[str, Any]


def _task(name: str, function: str, **inputs: Object) -> Object:
    return {
        "name": name,
        "function": f"trivial:{function}",
        "inputs": [{"name": key, **value} for key, value in inputs.items()],
    }


def placed(manifest: Object, namespace: str) -> Object:
    """Return an object with its namespace named."""
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def hello() -> Object:
    """Return the smallest flow of examples/: one task."""
    return example("hello", "flow.yaml")


def chain() -> Object:
    """Return ten tasks in a row; the last one fails unless nine came before it."""
    links = [_task("link-1", "one")]
    for number in range(2, CHAIN):
        links.append(_task(f"link-{number}", "plus_one", number={"task": f"link-{number - 1}"}))
    links.append(_task(f"link-{CHAIN}", "must_be_nine", number={"task": f"link-{CHAIN - 1}"}))
    return make_flow("chain", *links, source={"trivial.py": SOURCE})


def fan_out() -> Object:
    """Return fifty tasks behind one; each fails unless it gets what that one gave."""
    leaves = [_task(f"leaf-{number}", "must_get_one", number={"task": "root"}) for number in range(1, FAN_OUT + 1)]
    return make_flow("fan-out", _task("root", "one"), *leaves, source={"trivial.py": SOURCE})


def mapped(count: int, hold: float) -> Object:
    """Return a map of so many tasks, and a last one that checks their sum and then waits `hold` seconds."""
    return make_flow(
        "mapped",
        _task("numbers", "numbers", count={"value": count}),
        _task("child", "plus_one", number={"task": "numbers", "map": True}),
        _task("hold", "hold", numbers={"task": "child"}, count={"value": count}, seconds={"value": hold}),
        source={"trivial.py": SOURCE},
    )
