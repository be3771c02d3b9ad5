"""A cluster by kind, where a Docker engine answers.

Settings: FLOWKILN_KIND_NODE_IMAGE (the node's image), FLOWKILN_KIND_CONFIG (a kind config file, to which ours adds the
audit log), FLOWKILN_TEST_IMAGE (an image that Docker has already, instead of building one).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from . import commands
from .commands import announced, run, wait_until
from .images import docker
from .interface import HarnessError, Images
from .kind_config import AUDIT_LOG, with_audit_log
from .places import cache_folder, kept_logs_folder
from .process import Process

MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
PARKED_MANIFEST = "/etc/kubernetes/kube-apiserver.yaml"


class KindCluster:
    """A kind cluster of our own, new or running. `owned`: a later session removes it when this process is gone."""

    way = "kind"
    enforces_network_policy: bool | None = None  # its default network does since 0.24, where the host can

    def __init__(self, name: str, *, owned: bool = True) -> None:
        self.name = name
        self._owned = owned
        self._kind_name = f"flowkiln-{name}"
        self._built: Images | None = None
        self._folder = _folder() / name

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig that kind wrote."""
        return self._folder / "kubeconfig"

    @property
    def _node(self) -> str:
        return f"{self._kind_name}-control-plane"

    def prepare(self) -> None:
        """Find or build the images."""
        self._images_under_test()

    def start(self) -> None:
        """Create it, until its nodes are Ready."""
        clean_up()
        if self._folder.exists():
            raise HarnessError(f"a cluster named {self.name} is running already")
        config = _given_config()
        self._folder.mkdir(parents=True)
        owner = Process.of(os.getpid())
        self._write_owner(owner)
        (self._folder / "config.yaml").write_text(yaml.safe_dump(with_audit_log(config, self._folder)))
        node_image = os.environ.get("FLOWKILN_KIND_NODE_IMAGE")
        try:
            with announced(f"kind creates the cluster {self._kind_name}"):
                run(
                    ["kind", "create", "cluster", f"--name={self._kind_name}", f"--kubeconfig={self.kubeconfig}"]
                    + [f"--config={self._folder / 'config.yaml'}", "--wait=300s"]
                    + ([f"--image={node_image}"] if node_image else []),
                )
                self.kubectl("rollout", "status", "deployment/coredns", "--namespace=kube-system", "--timeout=180s")
        except BaseException:
            self.stop()
            raise
        if not self._owned:
            self._write_owner(None)

    def stop(self) -> None:
        """Delete it."""
        run(["kind", "delete", "cluster", f"--name={self._kind_name}", f"--kubeconfig={self.kubeconfig}"])
        shutil.rmtree(self._folder, ignore_errors=True)

    def keep_logs(self) -> Path | None:
        """Let kind export its logs."""
        kept = kept_logs_folder(self.name)
        run(["kind", "export", "logs", f"--name={self._kind_name}", kept])
        return kept

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> str:
        """Run kubectl as the administrator."""
        return commands.kubectl(self.kubeconfig, *arguments, input=input, check=check)

    def images(self) -> Images:
        """Load FLOWKILN_TEST_IMAGE, else build the product's images and load those."""
        built = self._images_under_test()
        for reference in dict.fromkeys((built.runtime, built.operator)):
            self._load_once(reference)
        return built

    def load_image(self, image: str | Path) -> None:
        """Load a docker-archive, or an image that Docker or the harness's own store has."""
        source = docker.loadable(image) if isinstance(image, str) else image
        what = ["image-archive", str(source)] if isinstance(source, Path) else ["docker-image", source]
        run(["kind", "load", *what, f"--name={self._kind_name}"])

    def build_image(self, folder: Path, base: str) -> str:
        """Build it by Docker, or by buildah where Docker cannot, and load it."""
        reference = docker.build_derived(folder, base)
        self.load_image(reference)
        return reference

    def audit_events(self) -> Iterator[Mapping[str, Any]]:
        """Yield what the audit log holds so far."""
        for line in self._docker_exec("cat", AUDIT_LOG).splitlines(keepends=True):
            if line.endswith("\n"):  # else it is being written
                yield json.loads(line)

    def exec_in_network(
        self, command: Sequence[str], *, timeout: float = 60, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the node's own image in the node's network."""
        return run(
            ["docker", "exec", "--env=KUBECONFIG=/etc/kubernetes/admin.conf", self._node, *command],
            timeout=timeout,
            check=check,
        )

    @contextmanager
    def api_server_down(self) -> Iterator[None]:
        """Take the API server's manifest away from the kubelet; give it back at the end, and wait until it answers."""
        self._docker_exec("mv", MANIFEST, PARKED_MANIFEST)
        try:
            wait_until("the API server ends", lambda: not self._api_answers(), seconds=60)
            yield
        finally:
            self._docker_exec("mv", PARKED_MANIFEST, MANIFEST)
            wait_until("the API server is ready", self._api_answers, seconds=180)

    def _images_under_test(self) -> Images:
        if self._built is None:
            if given := os.environ.get("FLOWKILN_TEST_IMAGE"):
                named = docker.named_for_itself(given)
                self._built = Images(runtime=named, operator=named)
            else:
                self._built = docker.build()
        return self._built

    def _api_answers(self) -> bool:
        return self.kubectl("get", "--raw=/readyz", "--request-timeout=5s", check=False) == "ok"

    def _load_once(self, reference: str) -> None:
        present = self._docker_exec("ctr", "--namespace=k8s.io", "images", "list", "--quiet").split()
        if not {reference, f"docker.io/library/{reference}", f"docker.io/{reference}"} & set(present):
            with announced(f"loading {reference}"):
                self.load_image(reference)

    def _docker_exec(self, *command: str) -> str:
        return run(["docker", "exec", self._node, *command]).stdout

    def _write_owner(self, owner: Process | None) -> None:
        record = {"pid": owner.pid, "started": owner.started} if owner else None
        (self._folder / "owner.json").write_text(json.dumps(record))


def clean_up() -> None:
    """Delete the clusters of sessions that were interrupted."""
    for file in _folder().glob("*/owner.json"):
        owner = json.loads(file.read_text())
        if owner and not Process(**owner).alive:
            commands.say(f"cleaning up after the interrupted session of {file.parent.name}")
            KindCluster(file.parent.name).stop()


def _given_config() -> Mapping[str, Any]:
    given = os.environ.get("FLOWKILN_KIND_CONFIG")
    if not given:
        return {}
    try:
        config = yaml.safe_load(Path(given).expanduser().read_text())
    except (OSError, yaml.YAMLError) as error:
        raise HarnessError(f"FLOWKILN_KIND_CONFIG={given} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise HarnessError(f"FLOWKILN_KIND_CONFIG={given} is no kind configuration")
    return config


def _folder() -> Path:
    return cache_folder() / "kind"
