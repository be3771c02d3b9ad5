"""A Dask scheduler and a worker as processes of their own, under mutual TLS, as in a run's pods."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distributed.security import Security

LIMIT = 240.0


@dataclass
class DaskProcesses:
    """A running scheduler and worker."""

    address: str
    environment: dict[str, str]
    """What processes need to take part: Dask's TLS settings, and the folder on Python's path."""
    scheduler: subprocess.Popen[bytes]
    worker: subprocess.Popen[bytes]


def tls_variables(folder: Path) -> dict[str, str]:
    """Dask's environment variables for one CA, certificate and key, which are made here."""
    security = Security.temporary()
    for name, text in (("cert", security.tls_ca_file), ("key", security.tls_scheduler_key)):
        (folder / f"{name}.pem").write_text(text)
    prefix = "DASK_DISTRIBUTED__COMM__"
    variables = {f"{prefix}REQUIRE_ENCRYPTION": "true", f"{prefix}TLS__CA_FILE": str(folder / "cert.pem")}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        variables[f"{prefix}TLS__{role}__CERT"] = str(folder / "cert.pem")
        variables[f"{prefix}TLS__{role}__KEY"] = str(folder / "key.pem")
    return variables


@contextmanager
def dask_processes(folder: Path) -> Iterator[DaskProcesses]:
    """Start both, with `folder` on the worker's path."""
    environment = {**os.environ, **tls_variables(folder), "PYTHONPATH": str(folder)}
    file = folder / "scheduler.json"
    options = ["--host", "127.0.0.1", "--no-dashboard"]
    command = [sys.executable, "-m", "dask"]
    with (folder / "scheduler.log").open("wb") as log:
        scheduler = subprocess.Popen(
            [*command, "scheduler", "--protocol", "tls", "--port", "0", "--scheduler-file", str(file), *options],
            cwd=folder,
            env=environment,
            stderr=log,
        )
    with (folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [*command, "worker", "--scheduler-file", str(file), "--nthreads", "2", *options],
            cwd=folder,
            env=environment,
            stderr=log,
        )
    try:
        until = time.monotonic() + LIMIT
        while not file.exists():
            assert time.monotonic() < until, (folder / "scheduler.log").read_text()
            time.sleep(0.05)
        yield DaskProcesses(json.loads(file.read_text())["address"], environment, scheduler, worker)
    finally:
        for process in (worker, scheduler):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in (worker, scheduler):
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
