"""The program of a bare DaskCluster's second container: what one writes with Dask alone.

It is sent as text, `python -c`, and so imports nothing but Dask. Arguments: `hello`; or `map`, a number of tasks and
the seconds to stay as it is when they are done.
It prints one line of JSON when it has its result, with the moments on the way there as seconds since the epoch.
"""

import time

# Before the other imports, whose time is looked at.
BEGUN = time.time()

import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402

from distributed import Client, wait  # noqa: E402

IMPORTED = time.time()


def greet(name: str) -> str:
    """Return the one task of hello."""
    return f"Hello, {name}!"


def plus_one(number: int) -> int:
    """Return the task that is mapped."""
    return number + 1


def hold(numbers: list[int], seconds: float) -> int:
    """Add up what was mapped, and keep everything as it is for a while, so that it can be looked at."""
    time.sleep(seconds)
    return sum(numbers)


def main(what: str, count: int = 1, seconds: float = 0) -> None:
    """Do it, say so, and stay: a container that ends is started again."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    client = Client(os.environ["SCHEDULER"])
    moments = {"begun": BEGUN, "imported": IMPORTED, "connected": time.time()}
    if what == "hello":
        result = client.submit(greet, "Kubernetes").result()
    else:
        futures = client.map(plus_one, range(count))
        wait(futures)
        held = client.submit(hold, futures, seconds)
        print(json.dumps({"mapped": time.time()}), flush=True)
        result = held.result()
    print(json.dumps({**moments, "done": time.time(), "result": result}), flush=True)
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
