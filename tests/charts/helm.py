"""Helm for tests: the host's own, else built once from its Go module into the harness's cache folder."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.harness.commands import announced, run
from tests.cluster.harness.interface import HarnessError
from tests.cluster.harness.places import CHECKOUT, cache_folder, exclusive

VERSION = "v3.22.0"
KUBERNETES = ("1", "34")  # what it takes a cluster for where it asks none, as its release builds do
CHART = CHECKOUT / "charts" / "flowkiln"


@functools.cache
def helm_path() -> Path:
    """Return Helm 3, built first when neither the host nor the cache has it (some two minutes on two idle cores)."""
    if (found := shutil.which("helm")) is not None and _is_helm_3(found):
        return Path(found)
    go = shutil.which("go")
    if go is None:
        raise HarnessError("Helm 3 is missing: install it as `helm`, or Go 1.24 or later to have it built")
    toolchain, architecture = run([go, "env", "GOVERSION", "GOARCH"]).stdout.split()
    folder = cache_folder() / "bin" / "-".join(["helm", VERSION, *KUBERNETES, toolchain, architecture])
    with exclusive(cache_folder() / "locks" / "build-helm", doing="building helm"):
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            _build(go, folder)
    return folder / "helm"


def helm(*arguments: str | Path, values: Mapping[str, Any] | None = None) -> str:
    """Run Helm, with these values if there are any, and return what it printed; CommandError when it fails."""
    given = [] if values is None else ["--values=-"]
    text = None if values is None else json.dumps(values)
    return run([helm_path(), *arguments, *given], input=text, timeout=300).stdout


def _is_helm_3(program: str) -> bool:
    """Whether it is the Helm that the chart's tests are written for: what later ones say and do differs."""
    return run([program, "version", "--template={{.Version}}"], check=False).stdout.startswith("v3.")


def _build(go: str, folder: Path) -> None:
    with (
        announced("building helm (once)"),
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=".helm-") as work,
    ):
        finished = Path(work) / "finished"
        stamps = dict(zip(("k8sVersionMajor", "k8sVersionMinor"), KUBERNETES, strict=True))
        packages = ("helm.sh/helm/v3/pkg/chartutil", "helm.sh/helm/v3/pkg/lint/rules")
        flags = [
            "-s",
            "-w",
            *(f"-X {package}.{name}={value}" for package in packages for name, value in stamps.items()),
        ]
        run(
            [go, "install", "-trimpath", f"-ldflags={' '.join(flags)}", f"helm.sh/helm/v3/cmd/helm@{VERSION}"],
            cwd=Path(work),
            env={"CGO_ENABLED": "0", "GOBIN": str(finished), "GOFLAGS": "-buildvcs=false", "GOWORK": "off"},
        )
        finished.rename(folder)
