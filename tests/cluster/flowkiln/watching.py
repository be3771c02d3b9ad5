"""What happens while a run runs: every version of an object, and every line that its pods print."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from tests.cluster.harness.commands import kubectl_path, wait_until
from tests.cluster.harness.interface import Cluster

FLOW_RUNS = "/apis/flowkiln.dev/v1alpha1/namespaces/{namespace}/flowruns"
PODS = "/api/v1/namespaces/{namespace}/pods"
RUN_LABEL = "flowkiln.dev/run"


@dataclass(frozen=True)
class Version:
    """One version of an object, as a watch brought it."""

    at: datetime
    type: str  # ADDED, MODIFIED or DELETED
    object: dict[str, Any]

    @property
    def name(self) -> str:
        """The object's name."""
        name: str = self.object["metadata"]["name"]
        return name

    @property
    def status(self) -> dict[str, Any]:
        """The object's status."""
        status: dict[str, Any] = self.object.get("status", {})
        return status


@dataclass
class Recording:
    """The versions of the objects of one kind in one namespace, oldest first."""

    versions: list[Version] = field(default_factory=list)

    def of(self, name: str) -> list[Version]:
        """Return the versions of one object so far."""
        return [version for version in list(self.versions) if version.name == name]

    def latest(self, name: str) -> dict[str, Any] | None:
        """Return an object as it is now; None when it is not there, or gone."""
        versions = self.of(name)
        return versions[-1].object if versions and versions[-1].type != "DELETED" else None

    def wait_until_gone(self, name: str, *, seconds: float = 120) -> None:
        """Wait until an object that was there is deleted."""

        def gone() -> bool:
            versions = self.of(name)
            return bool(versions) and versions[-1].type == "DELETED"

        wait_until(f"{name} is deleted", gone, seconds=seconds)


@contextmanager
def recording(cluster: Cluster, path: str, *, selector: str = "") -> Iterator[Recording]:
    """Watch a collection for the length of a `with` block, from what is there at its beginning."""
    made = Recording()
    listed = json.loads(cluster.kubectl("get", "--raw", f"{path}?{urlencode({'labelSelector': selector})}"))
    now = datetime.now(UTC)
    made.versions += [Version(now, "ADDED", item) for item in listed["items"]]
    query = {
        "watch": "true",
        "labelSelector": selector,
        "resourceVersion": listed["metadata"]["resourceVersion"],
        "timeoutSeconds": "3600",
    }

    def receive(line: str) -> None:
        event = json.loads(line)
        if event["type"] == "ERROR":
            raise AssertionError(f"the watch of {path} ended: {event['object']}")
        made.versions.append(Version(datetime.now(UTC), event["type"], event["object"]))

    with _lines(cluster, receive, "get", "--raw", f"{path}?{urlencode(query)}"):
        yield made


@dataclass
class Logs:
    """What the containers of a namespace's runs have printed, those before a restart included."""

    _followed: dict[tuple[str, str, str], _Followed] = field(default_factory=dict, repr=False)

    def lines(self, container: str, *, pod: str = "") -> list[str]:
        """Return the lines of all containers of this name, in pods whose names contain `pod`."""
        return [
            line
            for (pod_name, name, _), followed in sorted(self._followed.items(), key=lambda item: item[0][:2])
            if name == container and pod in pod_name
            for line in list(followed.lines)
        ]

    def wait_for(self, container: str, text: str, *, pod: str = "", seconds: float = 120) -> str:
        """Wait for the first line with this text in it, and return that."""

        def found() -> list[str]:
            return [line for line in self.lines(container, pod=pod) if text in line]

        wait_until(f"a container {container} prints {text!r}", lambda: bool(found()), seconds=seconds)
        return found()[0]

    def wait_for_the_end(self, *, seconds: float = 120) -> None:
        """Wait until all containers that were followed have ended, and their last lines are here."""

        def ended() -> bool:
            return all(not followed.thread.is_alive() for followed in list(self._followed.values()))

        wait_until("all containers end", ended, seconds=seconds)


@dataclass(frozen=True)
class _Followed:
    """One container: what it has printed, and who carries that over."""

    lines: list[str]
    process: subprocess.Popen[str]
    thread: threading.Thread


@contextmanager
def logs_of_runs(
    cluster: Cluster, namespace: str, containers: Container[str] = ("agent", "scheduler", "worker")
) -> Iterator[Logs]:
    """Follow containers of the namespace's runs from their first line on: their pods go soon after they end."""
    made = Logs()

    def look(line: str) -> None:
        pod = json.loads(line)["object"]
        for status in pod.get("status", {}).get("containerStatuses", ()):
            if status["name"] not in containers:
                continue
            for container_id, option in _containers_of(status):
                key = (pod["metadata"]["name"], status["name"], container_id)
                if key not in made._followed:
                    made._followed[key] = _follow(cluster, namespace, *key[:2], option)

    query = urlencode({"watch": "true", "labelSelector": RUN_LABEL, "timeoutSeconds": "3600"})
    with _lines(cluster, look, "get", "--raw", f"{PODS.format(namespace=namespace)}?{query}"):
        try:
            yield made
        finally:
            for followed in made._followed.values():
                followed.process.terminate()
            for followed in made._followed.values():
                followed.thread.join(timeout=10)


def _containers_of(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the ids of the containers that a container's status knows, with the option of `kubectl logs` for each.

    The one before the last restart comes first: its end may be all that was seen of it.
    """
    if (before := status.get("lastState", {}).get("terminated")) is not None:
        yield before.get("containerID", ""), "--previous"
    if "running" in status["state"] or "terminated" in status["state"]:
        yield status.get("containerID", ""), "--follow"


def _follow(cluster: Cluster, namespace: str, pod: str, container: str, option: str) -> _Followed:
    lines: list[str] = []
    process = _start(cluster, "logs", option, pod, f"--container={container}", f"--namespace={namespace}")
    thread = threading.Thread(target=_receive, args=(process, lines.append), daemon=True)
    thread.start()
    return _Followed(lines, process, thread)


@contextmanager
def _lines(cluster: Cluster, receive: Callable[[str], None], *arguments: str) -> Iterator[None]:
    process = _start(cluster, *arguments)
    thread = threading.Thread(target=_receive, args=(process, receive), daemon=True)
    thread.start()
    try:
        yield
    finally:
        process.terminate()
        thread.join(timeout=10)


def _start(cluster: Cluster, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [kubectl_path(), f"--kubeconfig={cluster.kubeconfig}", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        errors="replace",
    )


def _receive(process: subprocess.Popen[str], receive: Callable[[str], None]) -> None:
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            receive(line.rstrip("\n"))
