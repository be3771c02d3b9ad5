"""One test cluster for a session with several processes: the first one brings it up and takes it down.

The others ask it over a socket for what a test needs; nothing is brought up before that.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from .harness import choose
from .harness.ending import end
from .harness.interface import Cluster, HarnessError, Images

KEPT = pytest.StashKey[list[Path]]()
"""The folders with logs that were kept after a failure."""
_ADDRESS = "flowkiln_cluster_address"  # in the input of each process
_KEPT = "flowkiln_kept_logs"  # in its output


@dataclass(frozen=True)
class Shared:
    """The session's cluster, as far as it was asked for."""

    name: str
    images: Images | None


def chosen_cluster() -> Cluster:
    """Return the session's cluster, which may be one that FLOWKILN_TEST_REUSE names."""
    return choose.cluster(os.environ.get("FLOWKILN_TEST_REUSE") or f"test-{os.getpid()}", owned=True)


def bring_up(cluster: Cluster) -> None:
    """Start it, unless it is one that FLOWKILN_TEST_REUSE names."""
    if os.environ.get("FLOWKILN_TEST_REUSE"):
        cluster.kubectl("get", "--raw=/readyz")
    else:
        cluster.start()


def take_down(cluster: Cluster, config: pytest.Config, *, keep_logs: bool) -> None:
    """End it, unless it is one that FLOWKILN_TEST_REUSE names; the summary says where its logs are kept."""
    stop = cluster.name != os.environ.get("FLOWKILN_TEST_REUSE")
    kept = end(cluster, keep_logs=keep_logs, stop=stop)
    if kept is not None:
        config.stash.setdefault(KEPT, []).append(kept)


@contextmanager
def orderly_end() -> Iterator[None]:
    """End on SIGTERM as on Ctrl-C: with the fixtures' ends, so that nothing is left behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Guest:
    """A process that asks the first one for the cluster."""

    def __init__(self, address: str) -> None:
        self._address = address

    @classmethod
    def of(cls, config: pytest.Config) -> Guest | None:
        """Return this process as a guest; None when it is the only one."""
        given: dict[str, Any] = getattr(config, "workerinput", {})
        return cls(given[_ADDRESS]) if _ADDRESS in given else None

    def cluster(self) -> Cluster:
        """Wait until the cluster is up, and return it; HarnessError when it cannot be."""
        return choose.cluster(self._ask(Host.cluster).name, owned=True)

    def images(self) -> Images:
        """Wait until the product's images are on the cluster; HarnessError when they cannot be."""
        images = self._ask(Host.images).images
        assert images is not None
        return images

    def wait_for_flowkiln(self) -> None:
        """Wait until Flowkiln is installed on the cluster; HarnessError when it cannot be."""
        self._ask(Host.flowkiln)

    def _ask(self, step: Callable[[Host], None]) -> Shared:
        with Client(self._address) as connection:
            connection.send(step.__name__)
            answer: Shared | HarnessError = connection.recv()
        if isinstance(answer, HarnessError):
            raise answer
        return answer

    @staticmethod
    def tell_kept_logs(config: pytest.Config) -> None:
        """Tell the first process where this one has kept logs of clusters of its own."""
        output: dict[str, Any] = getattr(config, "workeroutput", {})
        output[_KEPT] = [str(kept) for kept in config.stash.get(KEPT, [])]


class Host:
    """The first process of a session with several. It runs no tests itself."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._cluster: Cluster | None = None
        self._images: Images | None = None
        self._done: dict[str, HarnessError | None] = {}
        self._failed = False
        self._folder = tempfile.mkdtemp(prefix="flowkiln-")
        self._listener = Listener(f"{self._folder}/cluster")
        # All steps run in this one thread, which stays until the end: a node ends with the thread that has started it.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cluster")
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def address(self) -> str:
        """Where the other processes ask."""
        return str(self._listener.address)

    def cluster(self) -> None:
        """Bring the cluster up."""
        self._cluster = chosen_cluster()
        self._cluster.prepare()
        bring_up(self._cluster)

    def images(self) -> None:
        """Bring the product's images onto it."""
        self._reach("cluster")
        assert self._cluster is not None
        self._images = self._cluster.images()

    def flowkiln(self) -> None:
        """Install Flowkiln on it."""
        from .flowkiln.installation import install
        from .harness.commands import announced

        self._reach("images")
        assert self._cluster is not None
        assert self._images is not None
        with announced("installing Flowkiln"):
            install(self._cluster, self._images)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell another process where to ask."""
        node.workerinput[_ADDRESS] = self.address

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Learn where a process has kept logs."""
        kept = (getattr(node, "workeroutput", None) or {}).get(_KEPT, [])
        self._config.stash.setdefault(KEPT, []).extend(map(Path, kept))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember that a test on the cluster failed, so that the cluster's logs are kept."""
        self._failed |= report.failed and report.nodeid.startswith("tests/cluster/")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        """End on SIGTERM as on Ctrl-C."""
        with orderly_end():
            return (yield)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Take the cluster down when all other processes have ended."""
        try:
            self._thread.submit(self._end).result()
        finally:
            self._thread.shutdown()
            self._listener.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _end(self) -> None:
        if self._cluster is not None:
            take_down(self._cluster, self._config, keep_logs=self._failed)

    def _reach(self, step: str) -> None:
        """Do a step unless it was done; HarnessError each time when it failed."""
        if step not in self._done:
            try:
                getattr(self, step)()
                self._done[step] = None
            except HarnessError as error:
                self._done[step] = HarnessError(str(error))  # others cannot be sent to another process
        if (error := self._done[step]) is not None:
            raise error

    def _listen(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: Connection) -> None:
        answer: Shared | HarnessError
        with connection, suppress(OSError, EOFError):  # the one that asks may end before it is answered
            step: str = connection.recv()
            try:
                self._thread.submit(self._reach, step).result()
                assert self._cluster is not None
                answer = Shared(self._cluster.name, self._images)
            except Exception as error:
                answer = error if type(error) is HarnessError else HarnessError(f"{step}: {error!r}")
            connection.send(answer)
