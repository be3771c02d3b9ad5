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

import pytest

from tests.operator.agent.dask_processes import LIMIT, tls_variables
from tests.operator.resources.test_dask_cluster import build, containers

WAITS = "waiting for the scheduler at"
REGISTERED = "Registered to:"
CONNECT_TIMEOUT = "1s"
"""What a nanny alone gives a scheduler that refuses connections; Dask's default is 30 s."""


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


def test_a_worker_that_waits_ends_when_it_is_told_to(
    tmp_path: Path, environment: dict[str, str], port: socket.socket
) -> None:
    """The pod of a run that was deleted meanwhile goes at once, and not after its grace period."""
    with worker(tmp_path, environment, port) as waiting:
        waiting.wait_for(WAITS)
        waiting.program.send_signal(signal.SIGTERM)
        assert waiting.program.wait(timeout=LIMIT) == 0, waiting.log.read_text()


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
            program.wait(timeout=20)
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
