"""Helm for tests: the host's own, else built once from its Go module into the harness's cache folder."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.harness.commands import announced, run
from tests.cluster.harness.interface import HarnessError
from tests.cluster.harness.places import CHECKOUT, cache_folder, exclusive

VERSION = "v3.22.0"
CHART = CHECKOUT / "charts" / "flowkiln"


@functools.cache
def helm_path() -> Path:
    """Return Helm 3, built first when neither the host nor the cache has it (some two minutes on two idle cores)."""
    if (found := shutil.which("helm")) is not None:
        return Path(found)
    go = shutil.which("go")
    if go is None:
        raise HarnessError("Helm is missing: install it, or Go 1.24 or later to have it built")
    toolchain, architecture = run([go, "env", "GOVERSION", "GOARCH"]).stdout.split()
    folder = cache_folder() / "bin" / f"helm-{VERSION}-{toolchain}-{architecture}"
    with exclusive(cache_folder() / "locks" / "build-helm", doing="building helm"):
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            _build(go, folder)
    return folder / "helm"


def helm(*arguments: str | Path, env: Mapping[str, str] | None = None, check: bool = True) -> str:
    """Run Helm and return what it printed; CommandError when it fails."""
    return run([helm_path(), *arguments], env=env, timeout=300, check=check).stdout


def _build(go: str, folder: Path) -> None:
    with (
        announced("building helm (once)"),
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=".helm-") as work,
    ):
        finished = Path(work) / "finished"
        run(
            [go, "install", "-trimpath", "-ldflags=-s -w", f"helm.sh/helm/v3/cmd/helm@{VERSION}"],
            cwd=Path(work),
            env={"CGO_ENABLED": "0", "GOBIN": str(finished), "GOFLAGS": "-buildvcs=false", "GOWORK": "off"},
        )
        finished.rename(folder)
