"""The built node as a test cluster."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.cluster.harness import commands
from tests.cluster.harness.commands import announced, run, wait_until
from tests.cluster.harness.images import buildah
from tests.cluster.harness.interface import HarnessError, Images
from tests.cluster.harness.places import CHECKOUT, cache_folder, exclusive, kept_logs_folder
from tests.cluster.harness.process import Process, Spawner

from . import cgroups, components, packages, record
from .binaries import Binaries, built_binaries
from .configuration import API_PORT, Configuration, write_configuration
from .pause_image import write_pause_image
from .record import Record
from .sandbox import Sandbox

KUBECTL_PAUSE = 0.3  # seconds between two looks; what starts is short of processors, and each kubectl takes some
COREDNS_RIGHTS = {
    "rules": [
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
}


class NodeCluster:
    """A node of this host, new or running.

    `owned`: it ends with this process, whatever that dies of. Otherwise it stays until somebody stops it by its name.
    """

    way = "node"

    def __init__(self, name: str, *, owned: bool = True) -> None:
        self.name = name
        self._owned = owned
        self._spawner = Spawner()
        self._images: Images | None = None
        self._record = record.find(name) or Record(name, owner=Process.of(os.getpid()))

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, through the forwarder on this host's loopback."""
        return self._record.folder / "kubeconfig"

    @property
    def _logs(self) -> Path:
        return self._record.folder / "logs"

    @property
    def running(self) -> bool:
        """Return whether it is up."""
        return self._record.running

    def prepare(self) -> None:
        """Install packages, build the node's programs and the images."""
        self._install()
        self._images = self._images or buildah.build()

    def start(self) -> None:
        """Bring it up, until the node is Ready and its API answers. Builds and installs what is missing first."""
        binaries = self._install()
        clean_up()
        with exclusive(cache_folder() / "locks" / f"cluster-{self.name}", doing=f"starting {self.name}"):
            if (found := record.find(self.name) or self._record).running:
                raise HarnessError(f"a cluster named {self.name} is running already")
            found.erase()  # what a restart of this host left of it
            try:
                with announced(f"starting the node {self.name}"):
                    self._start(binaries)
            except BaseException:
                try:
                    commands.say(f"the logs of the failed start are kept in {self.keep_logs()}")
                finally:
                    self.stop()
                raise
        if not self._owned:
            self._record.owner = None
            self._record.save()

    def stop(self) -> None:
        """Take it down, with everything that it left on this host."""
        self._record.erase()
        self._spawner.reap()

    def keep_logs(self) -> Path | None:
        """Copy the logs of the node's processes and of its pods."""
        kept = kept_logs_folder(self.name)
        for folder in (self._logs, self._record.folder / "pod-logs"):
            if folder.exists():
                shutil.copytree(folder, kept / folder.name, dirs_exist_ok=True)
        return kept

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> str:
        """Run kubectl as the administrator."""
        self._running_sandbox()
        return commands.kubectl(self.kubeconfig, *arguments, input=input, check=check)

    def images(self) -> Images:
        """Build the product's images if need be and import those that the node does not have.

        An object of this class builds them once: tests that run while somebody edits the source see one version of it.
        """
        self._images = built = self._images or buildah.build()
        present = self._ctr("images", "list", "--quiet").split()
        for reference in (built.runtime, built.operator):
            if reference not in present:
                self.load_image(reference)
        return built

    def load_image(self, image: str | Path) -> None:
        """Import a docker-archive, or what the node lacks of an image in the harness's own store."""
        with announced(f"importing {image}"):
            if isinstance(image, Path):
                self._ctr("images", "import", str(image.resolve()))
            else:
                self._import_missing(image)

    def build_image(self, folder: Path, base: str) -> str:
        """Build it by buildah, and import what the node lacks of it."""
        reference = buildah.build_derived(folder, base)
        self.load_image(reference)
        return reference

    def audit_events(self) -> Iterator[Mapping[str, Any]]:
        """Yield what the audit log holds so far."""
        with (self._record.folder / "audit.log").open() as log:
            for line in log:
                if line.endswith("\n"):
                    yield json.loads(line)

    def exec_in_network(
        self, command: Sequence[str], *, timeout: float = 60, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of this host in the node's network; its KUBECONFIG is one that works there."""
        return run(
            self._running_sandbox().in_network(command),
            env={"KUBECONFIG": str(self._record.folder / "kubeconfig-in-network")},
            timeout=timeout,
            check=check,
        )

    @contextmanager
    def api_server_down(self) -> Iterator[None]:
        """Kill the API server; bring it back at the end, until it answers."""
        self.kill_component(components.API_SERVER)
        try:
            yield
        finally:
            self.start_component(components.API_SERVER)
            self._wait_for_api()

    def kill_component(self, name: str) -> None:
        """End one of the node's processes with SIGKILL."""
        self._component(name).kill()

    def signal_component(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one of the node's processes; SIGSTOP and SIGCONT make it hang and go on."""
        os.kill(self._component(name).pid, number)

    def start_component(self, name: str) -> None:
        """Start one of the node's processes, with the command line that it had before."""
        lines = json.loads((self._record.folder / "command-lines.json").read_text())
        self._record.components[name] = self._spawn(name, lines[name])
        self._record.save()

    def _install(self) -> Binaries:
        if sys.platform != "linux" or os.geteuid() != 0:
            raise HarnessError("the built node needs Linux and root")
        packages.ensure(packages.NODE_TOOLS)
        return built_binaries()

    def _start(self, binaries: Binaries) -> None:
        self._record = Record(self.name, owner=Process.of(os.getpid()))
        self._record.save()
        folder = self._record.folder
        for name in ("logs", "pod-logs"):
            (folder / name).mkdir()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self._record.port = listening.getsockname()[1]
            configuration = write_configuration(folder, self.name, self._record.cgroup, self._record.port)
            cgroups.create(self._record.cgroup)
            self._record.first = Sandbox.create(binaries.pause, folder, self._spawner, dies_with_me=self._owned).first
            self._record.save()
            self._record.forwarder = self._spawn_forwarder(listening)
        lines = components.command_lines(binaries, configuration, self.name)
        (folder / "command-lines.json").write_text(json.dumps(lines))
        for name in components.FIRST:
            self.start_component(name)
        self._wait_for_api()
        self._grant_coredns()
        self._import_pause_image(binaries)
        for name in components.THEN:
            self.start_component(name)
        self._wait_for_node(configuration)

    def _running_sandbox(self) -> Sandbox:
        if self._record.first is None or not self._record.running:
            raise HarnessError(
                f"no cluster {self.name} is running: start it with `python -m tests.cluster --name {self.name} up`"
            )
        return Sandbox(self._record.first)

    def _spawn(self, name: str, line: Sequence[str]) -> Process:
        log = self._logs / f"{name}.log"
        return self._spawner.first_child(self._spawner.start(self._running_sandbox().entered(line), log), name, log)

    def _spawn_forwarder(self, listening: socket.socket) -> Process:
        descriptor = listening.fileno()
        program = [sys.executable, "-m", "tests.cluster.harness.node.forwarder"]
        forwarder = self._spawner.start(
            [*program, str(descriptor), str(self._running_sandbox().first.pid), "127.0.0.1", str(API_PORT)],
            self._logs / "forwarder.log",
            cwd=CHECKOUT,
            pass_fds=[descriptor],
        )
        return Process.of(forwarder.pid)

    def _component(self, name: str) -> Process:
        if name not in self._record.components:
            raise HarnessError(f"no process {name!r}; there are {', '.join(self._record.components)}")
        return self._record.components[name]

    def _ctr(self, *arguments: str) -> str:
        return run(self._running_sandbox().entered(["ctr", "--namespace=k8s.io", *arguments]), timeout=300).stdout

    def _import_missing(self, reference: str) -> None:
        layout = buildah.exported(reference)
        present = set(self._ctr("content", "list", "--quiet").split())
        with tempfile.NamedTemporaryFile(dir=self._record.folder, suffix=".tar") as archive:
            layout.write_archive(reference, present, archive)
            archive.flush()
            self._ctr("images", "import", archive.name)

    def _wait_for_api(self) -> None:
        def answers() -> bool:
            if not self._component(components.API_SERVER).alive:
                raise HarnessError("the API server ended")
            return self.kubectl("get", "--raw=/readyz", check=False) == "ok"

        wait_until("the API server is ready", answers, seconds=120, every=KUBECTL_PAUSE)

    def _wait_for_node(self, configuration: Configuration) -> None:
        ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        wait_until(
            "the node is Ready",
            lambda: self.kubectl("get", "node", self.name, "--output", ready, check=False) == "True",
            seconds=120,
            every=KUBECTL_PAUSE,
        )
        for name, process in self._record.components.items():
            if not process.alive:
                raise HarnessError(f"{name} ended")

    def _grant_coredns(self) -> None:
        meta = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "system:coredns"}}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"}
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:coredns"}
        role = {**meta, "kind": "ClusterRole", **COREDNS_RIGHTS}
        binding = {**meta, "kind": "ClusterRoleBinding", "roleRef": reference, "subjects": [subject]}
        items = {"apiVersion": "v1", "kind": "List", "items": [role, binding]}
        self.kubectl("create", "--filename=-", input=json.dumps(items))

    def _import_pause_image(self, binaries: Binaries) -> None:
        archive = self._record.folder / "pause.tar"
        write_pause_image(binaries.pause, platform.machine(), archive)
        self._ctr("images", "import", str(archive))


def clean_up() -> None:
    """Remove what interrupted sessions left."""
    for left in record.all_records():
        if left.abandoned:
            commands.say(f"cleaning up after the interrupted session of {left.name}")
            left.erase()
