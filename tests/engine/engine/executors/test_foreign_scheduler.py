"""A Dask scheduler of others, whose environment lacks flowkiln."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowkiln.engine.executors import DaskExecutor

WITHOUT_FLOWKILN = """
import asyncio, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "flowkiln":
            raise ModuleNotFoundError("No module named 'flowkiln'", name="flowkiln")

sys.meta_path.insert(0, Hidden())
from distributed import Scheduler

async def serve():
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()

asyncio.run(serve())
"""


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler that cannot import flowkiln."""
    program = tmp_path / "scheduler.py"
    program.write_text(WITHOUT_FLOWKILN)
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def test_the_error_says_where_flowkiln_is_missing(scheduler: str) -> None:
    """Not just that a module is missing, which is installed here."""
    expected = pytest.raises(ModuleNotFoundError, match=r"scheduler at tcp://.* Install the same version")
    with expected, DaskExecutor(address=scheduler).start():
        pass
