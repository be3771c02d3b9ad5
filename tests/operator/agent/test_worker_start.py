"""Workers that are there before their scheduler: real processes, with the command of the DaskCluster."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.operator.agent.dask_processes import LIMIT, tls_variables
from tests.operator.resources.test_dask_cluster import build, containers

WAITS = "waiting for the scheduler at"
REGISTERED = "Registered to:"
CONNECT_TIMEOUT = "1s"
"""What a nanny alone gives a scheduler that refuses connections; Dask's default is 30 s."""


FORK_SERVER = "multiprocessing.forkserver"
DRAW = """
import multiprocessing
import random

from flowkiln_operator.agent.worker_start import IMPORTS


def draw(queue):
    import numpy

    queue.put((random.random(), numpy.random.rand()))


if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["numpy.random", IMPORTS])
    queue = context.Queue()
    for _ in range(2):
        process = context.Process(target=draw, args=(queue,))
        process.start()
        print(*queue.get())
        process.join()
"""


@dataclass
class Process:
    """A program with its log."""

    program: subprocess.Popen[bytes]
    log: Path

    def wait_for(self, text: str) -> None:
        """Wait for a text in the log; AssertionError when the program ends before."""
        until = time.monotonic() + LIMIT
        while text not in (said := self.log.read_text()):
            assert self.program.poll() is None, f"it ended:\n{said}"
            assert time.monotonic() < until, f"no {text!r}:\n{said}"
            time.sleep(0.05)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What scheduler and worker have in common."""
    timeouts = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": CONNECT_TIMEOUT, "DASK_LOGGING__FLOWKILN": "info"}
    return {**os.environ, **tls_variables(tmp_path), **timeouts, "DASK_TEMPORARY_DIRECTORY": str(tmp_path)}


@pytest.fixture
def port() -> Iterator[socket.socket]:
    """A port of this host that refuses connections until it is listened on."""
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", 0))
        yield bound


def refuse(port: socket.socket, folder: Path) -> None:
    """Refuse connections: nobody listens."""


def close_at_once(port: socket.socket, folder: Path) -> None:
    """Accept connections and close them, as a proxy without a backend does."""
    _accept(port, lambda connection: None)


def close_after_the_handshake(port: socket.socket, folder: Path) -> None:
    """Accept connections and close them when TLS is established."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    def shake_hands(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).close()

    _accept(port, shake_hands)


@pytest.mark.parametrize("meet", [refuse, close_at_once, close_after_the_handshake])
def test_a_worker_waits_for_a_scheduler_that_is_not_there_yet(
    tmp_path: Path, environment: dict[str, str], port: socket.socket, meet: Callable[[socket.socket, Path], None]
) -> None:
    """It goes on trying, whatever becomes of its connections, and registers once the scheduler is there."""
    meet(port, tmp_path)
    with worker(tmp_path, environment, port) as waiting:
        waiting.wait_for(WAITS)
        number = port.getsockname()[1]
        with suppress(OSError):  # nobody listens
            port.shutdown(socket.SHUT_RDWR)
        port.close()
        options = ("--protocol", "tls", "--host", "127.0.0.1", "--port", str(number), "--no-dashboard")
        with running("scheduler", tmp_path, environment, "dask", "scheduler", *options):
            waiting.wait_for(REGISTERED)


def test_a_worker_is_forked_from_a_process_that_has_imported_everything_meanwhile(
    tmp_path: Path, environment: dict[str, str], port: socket.socket
) -> None:
    """It has what Dask wants set before Python starts, and all modules of the engine; it waits beside the nanny."""
    variables = variables_of_worker()
    with worker(tmp_path, {**environment, **variables}, port) as waiting:
        waiting.wait_for(WAITS)
        (server,) = wait_for_processes(waiting.program.pid, FORK_SERVER)
        assert server.environ()["PYTHONHASHSEED"] == "6640"
        number = port.getsockname()[1]
        port.close()
        options = ("--protocol", "tls", "--host", "127.0.0.1", "--port", str(number), "--no-dashboard")
        with running("scheduler", tmp_path, environment, "dask", "scheduler", *options):
            waiting.wait_for(REGISTERED)
            assert len(server.children()) == 1


def test_forked_workers_draw_other_random_numbers_than_each_other(tmp_path: Path) -> None:
    """numpy's generator is copied with everything else that was imported before."""
    program = tmp_path / "program.py"
    program.write_text(DRAW)
    drawn = subprocess.run([sys.executable, str(program)], check=True, capture_output=True, text=True, timeout=LIMIT)
    assert len(set(drawn.stdout.split())) == 4


def test_a_worker_that_waits_ends_when_it_is_told_to(
    tmp_path: Path, environment: dict[str, str], port: socket.socket
) -> None:
    """The pod of a run that was deleted meanwhile goes at once, and not after its grace period."""
    with worker(tmp_path, environment, port) as waiting:
        waiting.wait_for(WAITS)
        waiting.program.send_signal(signal.SIGTERM)
        assert waiting.program.wait(timeout=LIMIT) == 0, waiting.log.read_text()


def variables_of_worker() -> dict[str, str]:
    """Return how the worker's container is to start its processes."""
    found = {one["name"]: one.get("value", "") for one in containers(build())["worker"]["env"]}
    return {name: value for name, value in found.items() if name.startswith("DASK_DISTRIBUTED__WORKER__MULTI")}


def wait_for_processes(parent: int, command: str) -> list[psutil.Process]:
    """Wait until a process has children whose command has this in it."""
    until = time.monotonic() + LIMIT
    while not (found := [one for one in psutil.Process(parent).children() if command in " ".join(one.cmdline())]):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


@contextmanager
def worker(folder: Path, environment: dict[str, str], port: socket.socket) -> Iterator[Process]:
    """Run the command of a worker's container against a port of this host."""
    command = containers(build())["worker"]["args"]
    replaced = {command[2]: f"tls://127.0.0.1:{port.getsockname()[1]}", "$(DASK_WORKER_NAME)": "one"}
    arguments = [replaced.get(argument, argument) for argument in command]
    with running("worker", folder, environment, *arguments) as process:
        yield process


@contextmanager
def running(name: str, folder: Path, environment: dict[str, str], *arguments: str) -> Iterator[Process]:
    """Run a module of Python for the length of a `with` block."""
    path = folder / f"{name}.log"
    with path.open("wb") as log:
        command = [sys.executable, "-m", *arguments]
        program = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield Process(program, path)
    finally:
        program.terminate()
        try:
            program.wait(timeout=240)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def _accept(port: socket.socket, treat: Callable[[socket.socket], None]) -> None:
    port.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = port.accept()
            except OSError:  # it is closed
                return
            with connection, suppress(OSError):
                treat(connection)

    threading.Thread(target=serve, daemon=True).start()
