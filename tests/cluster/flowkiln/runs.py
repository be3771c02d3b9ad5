"""Flows and runs in one namespace, handled as a person with kubectl does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.cluster.harness.api import Api, api
from tests.cluster.harness.commands import LOAD, CommandError, wait_until
from tests.cluster.harness.interface import HarnessError

from .installation import Installation
from .watching import FLOW_RUNS, PODS, RUN_LABEL, Logs, Recording, logs_of_runs, recording

FLOW_RUN = "flowruns.flowkiln.dev"
PATIENCE = 120.0  # seconds; a run takes about ten on a machine that does nothing else
KEPT_BY_KUBERNETES = frozenset({"events"})  # they go after their own time

Object = dict[str, Any]
Objects = list[Object]
Names = list[str]


@dataclass(frozen=True)
class Runs:
    """The flows and runs of one namespace."""

    installation: Installation
    namespace: str
    agents: Logs
    """What the runs' agents have logged: their pods go soon after the end."""

    def kubectl(self, *arguments: str, input: str | None = None) -> str:
        """Run kubectl in the namespace; CommandError when it fails."""
        return self.installation.cluster.kubectl(f"--namespace={self.namespace}", *arguments, input=input)

    @property
    def _api(self) -> Api:
        return api(self.installation.cluster.kubeconfig)

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """Run `kubectl apply` on objects, in this order."""
        document = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.kubectl("apply", "--server-side", "--filename=-", input=json.dumps(document))

    def get(self, kind: str, name: str) -> Object:
        """Return an object."""
        found = self._api.get(kind, name, self.namespace)
        if found is None:
            raise HarnessError(f"there is no {kind}/{name} in {self.namespace}")
        return found

    def list(self, kind: str, *, selector: str = "") -> Objects:
        """Return the objects of a kind."""
        return self._api.list(kind, self.namespace, selector=selector)

    def exists(self, kind: str, name: str) -> bool:
        """Whether there is such an object."""
        return self._api.get(kind, name, self.namespace) is not None

    def flow_run(self, name: str) -> Object:
        """Return a FlowRun."""
        return self.get(FLOW_RUN, name)

    def patch(self, name: str, spec: Mapping[str, Any]) -> None:
        """Change a FlowRun's spec."""
        self.kubectl("patch", FLOW_RUN, name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def delete(self, name: str, *, wait: bool = True) -> None:
        """Delete a FlowRun; `wait` for it to be gone."""
        self.kubectl("delete", FLOW_RUN, name, f"--wait={str(wait).lower()}", "--timeout=60s")

    def finish(self, name: str, *, seconds: float = PATIENCE) -> Object:
        """Wait with `kubectl wait --for=condition=Finished`, and return the FlowRun.

        When it has not succeeded, the agent's log is printed, for whoever did not expect that.
        """
        try:
            self.kubectl("wait", "--for=condition=Finished", f"{FLOW_RUN}/{name}", f"--timeout={seconds * LOAD:.0f}s")
        except CommandError as error:
            raise AssertionError(f"{error}\n{self.describe(name)}") from error
        run = self.flow_run(name)
        if state(run) != "Success":
            print(*self.agents.lines("agent", pod=label_of(run)), sep="\n")
        return run

    def wait_until(self, name: str, what: str, holds: Callable[[Object], bool], *, seconds: float = PATIENCE) -> Object:
        """Wait until something holds of a FlowRun, and return that."""
        seen: Objects = []

        def look() -> bool:
            seen[:] = [self.flow_run(name)]
            return holds(seen[0])

        try:
            wait_until(f"{name}: {what}", look, seconds=seconds, every=0.2)
        except HarnessError as error:
            raise AssertionError(f"{error}\n{self.describe(name)}") from error
        return seen[0]

    def record(self) -> AbstractContextManager[Recording]:
        """Record every version of the namespace's FlowRuns for the length of a `with` block."""
        return recording(self.installation.cluster, FLOW_RUNS.format(namespace=self.namespace))

    def record_pods(self) -> AbstractContextManager[Recording]:
        """Record every version of the pods of the namespace's runs for the length of a `with` block."""
        return recording(self.installation.cluster, PODS.format(namespace=self.namespace), selector=RUN_LABEL)

    @contextmanager
    def follow_logs(self) -> Iterator[Logs]:
        """Follow what the pods of the namespace's runs print for the length of a `with` block."""
        with logs_of_runs(self.installation.cluster, self.namespace) as logs:
            yield logs

    def pods(self, flow_run: Object, component: str) -> Objects:
        """Return the `scheduler` or `worker` pods of a run that are there and not on their way out."""
        selector = f"{RUN_LABEL}={label_of(flow_run)},dask.org/component={component}"
        found = self.list("pods", selector=selector)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def owned_objects(self, flow_run: Object) -> Names:
        """Return everything of any kind in the namespace that carries the run's label or is owned, at any depth, by it.

        As kind/name, without the FlowRun itself and without Events.
        """
        everything = list(self._api.all_metadata(self.namespace, without=KEPT_BY_KUBERNETES))
        mine = {flow_run["metadata"]["uid"]}
        label = label_of(flow_run)
        found: dict[str, str] = {}
        while True:
            before = len(mine)
            for kind, metadata in everything:
                owners = {owner["uid"] for owner in metadata.get("ownerReferences", ())}
                if owners & mine or metadata.get("labels", {}).get(RUN_LABEL) == label:
                    mine.add(metadata["uid"])
                    found[metadata["uid"]] = f"{kind}/{metadata['name']}"
            if len(mine) == before:
                return sorted(found.values())

    def describe(self, name: str) -> str:
        """Tell what is known about a run that did not do what it should."""
        parts = [
            self.kubectl("get", FLOW_RUN, name, "--ignore-not-found", "--output=yaml"),
            self.kubectl("get", "pods,daskclusters", "--output=wide"),
            self.kubectl("get", "events", "--sort-by=.lastTimestamp"),
            "\n".join(self.installation.operator_log().splitlines()[-40:]),
        ]
        for pod in self.list("pods"):
            for status in pod["status"].get("containerStatuses", ()):
                parts += self._last_lines(pod["metadata"]["name"], status)
        return "\n".join(parts)

    def _last_lines(self, pod: str, status: Mapping[str, Any]) -> Iterator[str]:
        """Yield the end of what a container has printed, and before that of what it printed before its last restart."""
        for previous in ("true", "false") if status["restartCount"] else ("false",):
            options = (f"--container={status['name']}", f"--previous={previous}", "--tail=20")
            text = self.installation.cluster.kubectl(
                "logs", pod, *options, f"--namespace={self.namespace}", check=False
            )
            yield f"--- {pod} {status['name']}{' before its restart' if previous == 'true' else ''}\n{text}"


def label_of(flow_run: Object) -> str:
    """Return the value of the label `flowkiln.dev/run` on everything that belongs to a run (for short, plain names)."""
    metadata = flow_run["metadata"]
    return f"{metadata['name'][:36].rstrip('-')}-{metadata['uid'][:6]}"


def condition(flow_run: Object, type: str) -> Object:
    """Return a condition of a FlowRun, empty when it has none of that type."""
    conditions: list[Object] = flow_run.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == type), {})


def state(flow_run: Object) -> str:
    """Return a FlowRun's state, empty before the operator has seen it."""
    said: str = flow_run.get("status", {}).get("state", "")
    return said


def is_at_work(flow_run: Object, *tasks: str) -> bool:
    """Tell whether operator and agent both say that a run is Running, the agent of these tasks too."""
    return state(flow_run) == "Running" and all(task_status(flow_run, name).get("state") == "Running" for name in tasks)


def task_status(flow_run: Object, name: str) -> Object:
    """Return the status of one task, empty when there is none."""
    tasks: list[Object] = flow_run.get("status", {}).get("tasks", [])
    return next((task for task in tasks if task["name"] == name), {})
