"""The Debian packages that the node and the image builds stand on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.harness.commands import announced, run
from tests.cluster.harness.interface import HarnessError
from tests.cluster.harness.places import cache_folder, exclusive

CNI_PLUGINS = Path("/usr/lib/cni")

NODE_TOOLS: Mapping[str, str] = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    str(CNI_PLUGINS / "bridge"): "containernetworking-plugins",
    "iptables": "iptables",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
}
IMAGE_TOOLS: Mapping[str, str] = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}


def ensure(tools: Mapping[str, str]) -> None:
    """Install the packages of the tools (program → package) that are missing."""
    if not (absent := _absent(tools)):
        return
    packages = sorted({tools[tool] for tool in absent})
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise HarnessError(f"missing: {', '.join(absent)}. Install (Debian's names): {' '.join(packages)}")
    with (
        exclusive(cache_folder() / "locks" / "apt", doing="installing packages"),
        announced(f"installing {' '.join(packages)}"),
    ):
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "update"], env=quiet)
        run(["apt-get", "install", "--yes", "--no-install-recommends", *packages], env=quiet)
    if still := _absent(tools):
        raise HarnessError(f"still missing after installing {' '.join(packages)}: {', '.join(still)}")


def _absent(tools: Mapping[str, str]) -> list[str]:
    return [tool for tool in tools if shutil.which(tool) is None]
