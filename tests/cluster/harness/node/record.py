"""What is written down about a running node, so that another session can use it, end it, or clean up after it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.harness.interface import HarnessError
from tests.cluster.harness.places import cache_folder
from tests.cluster.harness.process import Process

from . import cgroups
from .sandbox import Sandbox

NAME_PATTERN = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")
FILE = "record.json"


@dataclass
class Record:
    """A node's processes, and whose it is. Kept in its folder as record.json."""

    name: str
    owner: Process | None  # it ends with this process; None: it stays until somebody takes it down
    first: Process | None = None  # of the namespaces
    forwarder: Process | None = None
    port: int = 0  # of the forwarder, on this host's loopback
    components: dict[str, Process] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder with everything of this node: certificates, logs, kubeconfig, images, data."""
        return clusters_folder() / self.name

    @property
    def cgroup(self) -> str:
        """The name of its cgroup, below the root of each hierarchy."""
        return f"flowkiln-{self.name}"

    @property
    def abandoned(self) -> bool:
        """Return whether the session that it belongs to is gone."""
        return self.owner is not None and not self.owner.alive

    @property
    def running(self) -> bool:
        """Return whether its namespaces are there."""
        return self.first is not None and self.first.alive

    def save(self) -> None:
        """Write it, whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        unfinished = self.folder / f".{FILE}.{os.getpid()}"
        unfinished.write_text(json.dumps(asdict(self), indent=2))
        unfinished.rename(self.folder / FILE)

    def erase(self) -> None:
        """End every process of the node and remove all that it left. Harmless when there is nothing."""
        if self.first is not None:
            Sandbox(self.first).destroy()
        if self.forwarder is not None:
            self.forwarder.kill()
        cgroups.remove(self.cgroup)
        _refuse_mounts_below(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.exists():
            raise HarnessError(f"cannot remove {self.folder}")


def clusters_folder() -> Path:
    """Return the folder that holds one folder for each node."""
    folder = cache_folder() / "clusters"
    folder.mkdir(exist_ok=True)
    return folder


def find(name: str) -> Record | None:
    """Return the record of a node, when there is one of this name."""
    if not NAME_PATTERN.fullmatch(name):
        raise HarnessError(f"{name!r} cannot name a cluster: use up to 32 lower-case letters, digits and dashes")
    try:
        written: dict[str, Any] = json.loads((clusters_folder() / name / FILE).read_text())
    except FileNotFoundError:
        return None
    for key in ("owner", "first", "forwarder"):
        written[key] = Process(**written[key]) if written[key] else None
    written["components"] = {component: Process(**process) for component, process in written["components"].items()}
    return Record(**written)


def all_records() -> Iterator[Record]:
    """Yield the record of every node on this host."""
    for file in sorted(clusters_folder().glob(f"*/{FILE}")):
        if record := find(file.parent.name):
            yield record


def _refuse_mounts_below(folder: Path) -> None:
    """Guard the removal: the node's mounts end with its namespaces, and nothing below one may ever be removed."""
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    if below := [point for point in mounted if Path(point).is_relative_to(folder)]:
        raise HarnessError(f"still mounted below {folder}: {', '.join(below)}")
