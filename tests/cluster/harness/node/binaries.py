"""Build the node's programs once, into a cache folder keyed by what they are built from."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.harness.commands import announced, run
from tests.cluster.harness.interface import HarnessError
from tests.cluster.harness.places import cache_folder, exclusive

SOURCES = Path(__file__).parent / "programs"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
VERSION_PACKAGE = "k8s.io/component-base/version"


@dataclass(frozen=True)
class Binaries:
    """Paths of the built programs; the five components of Kubernetes are links to one binary."""

    components: Path
    etcd: Path
    coredns: Path
    pause: Path

    def component(self, name: str) -> Path:
        """Return the path under which the Kubernetes binary runs as this component."""
        return self.components / name


def built_binaries() -> Binaries:
    """Return the programs, built first when they are not in the cache (about 6 minutes on two cores)."""
    go = shutil.which("go")
    if go is None:
        raise HarnessError("Go is missing: install it (1.24 or later) to build the test cluster's node")
    toolchain = run([go, "env", "GOVERSION", "GOARCH"]).stdout.split()
    folders = {name: _built(name, go, toolchain) for name in ("pause", "etcd", "coredns", "kubernetes")}
    return Binaries(
        components=folders["kubernetes"],
        etcd=folders["etcd"] / "etcd",
        coredns=folders["coredns"] / "coredns",
        pause=folders["pause"] / "pause",
    )


def kubernetes_version() -> str:
    """Return the version that programs/kubernetes/go.mod requires, like `v1.34.4`."""
    found = re.search(
        r"^\s*k8s\.io/kubernetes (v[\d.]+)$", (SOURCES / "kubernetes" / "go.mod").read_text(), re.MULTILINE
    )
    if found is None:
        raise HarnessError("programs/kubernetes/go.mod requires no k8s.io/kubernetes")
    return found[1]


def _built(name: str, go: str, toolchain: list[str]) -> Path:
    folder = cache_folder() / "bin" / f"{name}-{_digest(name, toolchain)}"
    if folder.exists():
        return folder
    with exclusive(cache_folder() / "locks" / f"build-{name}", doing=f"building {name}"):
        if folder.exists():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            announced(f"building {name} (once)"),
            tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as work,
        ):
            finished = Path(work) / "finished"
            finished.mkdir()
            run(
                [
                    go,
                    "build",
                    "-mod=readonly",
                    "-trimpath",
                    "-ldflags",
                    _linker_flags(name),
                    "-o",
                    finished / name,
                    ".",
                ],
                cwd=SOURCES / name,
                env={"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"},
            )
            if name == "kubernetes":
                for component in COMPONENTS:
                    (finished / component).symlink_to(name)
            finished.rename(folder)
    return folder


def _digest(name: str, toolchain: list[str]) -> str:
    content = hashlib.sha256(" ".join(toolchain).encode())
    for file in sorted((SOURCES / name).iterdir()):
        content.update(file.name.encode() + b"\0" + file.read_bytes())
    return content.hexdigest()[:16]


def _linker_flags(name: str) -> str:
    flags = ["-s", "-w"]
    if name == "kubernetes":
        version = kubernetes_version()
        major, minor, _ = version.removeprefix("v").split(".")
        stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
        flags += [f"-X {VERSION_PACKAGE}.{field}={value}" for field, value in stamps.items()]
    return " ".join(flags)
