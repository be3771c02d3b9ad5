"""The namespaces that hold one node: network, mounts and process ids.

They belong to their first process. When that ends, the kernel ends every process in them, and their mounts, network
devices and packet filter rules are gone: whatever a session's end leaves half done, nothing of a node outlives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.cluster.harness.commands import run, wait_until
from tests.cluster.harness.interface import HarnessError
from tests.cluster.harness.process import Process, Spawner

NODE_ADDRESS = "192.0.2.1"  # TEST-NET-1: nothing on any real network has it

# A new /run, /var/lib and /var/log: containerd, the kubelet and the CNI plugins use fixed paths below them, so that two
# nodes would meet there. What grows lies in the instance's folder on disk.
PRIVATE_FOLDERS = (Path("/run"), Path("/var/lib"), Path("/var/log"))
PREPARE = """
set -e
for folder in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
mkdir -p /run/netns /var/lib/kubelet /var/lib/containerd /var/log/pods /var/log/containers
mount --bind "$1/kubelet" /var/lib/kubelet
mount --bind "$1/containerd" /var/lib/containerd
mount --bind "$1/pod-logs" /var/log/pods
mount --make-rshared /
ip link set lo up
ip link add node0 type bridge
ip address add "$2/24" dev node0
ip link set node0 up
ip route add default dev node0
echo 1 > /proc/sys/net/ipv4/ip_forward
if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables; fi
"""


class Sandbox:
    """The namespaces of one node, by their first process."""

    def __init__(self, first: Process) -> None:
        self.first = first

    @classmethod
    def create(cls, init: Path, folder: Path, spawner: Spawner, *, dies_with_me: bool) -> Sandbox:
        """Make the namespaces, with folder/{kubelet,containerd,pod-logs} mounted where the node's programs expect them.

        `init` is the program that becomes their first process. With `dies_with_me` the kernel ends it together with
        this process, whatever that dies of.
        """
        for private in PRIVATE_FOLDERS:
            if folder.is_relative_to(private):
                raise HarnessError(f"the cache folder must not be below {private}: set FLOWKILN_CACHE to another place")
        for name in ("kubelet", "containerd", "pod-logs"):
            (folder / name).mkdir(exist_ok=True)
        bond = ["setpriv", "--pdeathsig", "KILL"] if dies_with_me else []
        unshare = ["unshare", "--net", "--pid", "--mount-proc", "--propagation", "private", "--kill-child"]
        log = folder / "logs" / "sandbox.log"
        outer = spawner.start([*bond, *unshare, str(init)], log)
        first = spawner.first_child(outer, "the node's sandbox", log)
        wait_until("the node's namespaces exist", lambda: _runs(first, init), seconds=10, every=0.01)
        sandbox = cls(first)
        run(sandbox.entered(["sh", "-c", PREPARE, "prepare", str(folder), NODE_ADDRESS]))
        return sandbox

    @property
    def network(self) -> Path:
        """The network namespace, as nsenter takes it."""
        return Path(f"/proc/{self.first.pid}/ns/net")

    def entered(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs a command in all of the namespaces."""
        return ["nsenter", f"--target={self.first.pid}", "--net", "--mount", "--pid", "--", *command]

    def in_network(self, command: Sequence[str]) -> list[str]:
        """Return the command line that runs a command in the network namespace, with this host's files."""
        return ["nsenter", f"--net={self.network}", "--", *command]

    def destroy(self) -> None:
        """End everything in the namespaces. Harmless when they are gone."""
        self.first.kill()


def _runs(process: Process, program: Path) -> bool:
    """Return whether this process has become this program, which it does when its namespaces are made."""
    if not process.alive:
        raise HarnessError("the first process of the node's namespaces ended")
    return Path(f"/proc/{process.pid}/exe").samefile(program)
