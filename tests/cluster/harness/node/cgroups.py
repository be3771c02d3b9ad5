"""The node's own place in the host's cgroup hierarchies (version 1, version 2, or both)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.cluster.harness.commands import wait_until

CPUSET_VALUES = (
    "cpuset.cpus",
    "cpuset.mems",
)  # a new cpuset of version 1 is empty, and holds no process until it is set


@dataclass(frozen=True)
class Hierarchy:
    """One mounted hierarchy."""

    root: Path
    unified: bool  # version 2


def hierarchies(mounts: str) -> list[Hierarchy]:
    """Return the hierarchies in the text of /proc/mounts."""
    found = {}
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split()
        if kind in ("cgroup", "cgroup2"):
            found[point] = Hierarchy(Path(point), unified=kind == "cgroup2")
    return list(found.values())


def create(name: str) -> None:
    """Make the cgroup `/name` in every hierarchy."""
    for hierarchy in _mounted():
        if hierarchy.unified:
            _delegate_controllers(hierarchy.root)
        own = hierarchy.root / name
        own.mkdir(exist_ok=True)
        for value in CPUSET_VALUES:
            if not hierarchy.unified and (own / value).exists():
                (own / value).write_text((hierarchy.root / value).read_text())


def remove(name: str) -> None:
    """Remove the cgroup `/name` and what is below it; its processes have been ended before."""
    for hierarchy in _mounted():
        own = hierarchy.root / name
        wait_until(f"the cgroup {own} can be removed", partial(_removed, own), seconds=10)


def _delegate_controllers(root: Path) -> None:
    available = (root / "cgroup.controllers").read_text().split()
    if available:
        (root / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in available))


def _removed(group: Path) -> bool:
    if not group.exists():
        return True
    folders = sorted((path for path in group.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
    for folder in [*folders, group]:
        try:
            folder.rmdir()
        except OSError:  # a process in it has not quite ended
            return False
    return True


def _mounted() -> list[Hierarchy]:
    return hierarchies(Path("/proc/mounts").read_text())
