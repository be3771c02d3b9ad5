"""`python -m tests.cluster.demo`: Flowkiln on a Kubernetes of its own, with the weather flow running before your eyes.

Brings a test cluster up, installs Flowkiln with `kubectl apply -k`, applies examples/weather, shows the run's status as
it comes in and the report at the end. The cluster stays up to play with; `--down` takes it down.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from .flowkiln.flows import EXAMPLES
from .flowkiln.installation import install
from .flowkiln.runs import FLOW_RUN, PATIENCE, Object, condition, state
from .flowkiln.watching import FLOW_RUNS, logs_of_runs, recording
from .harness import choose
from .harness.commands import announced, say, wait_until
from .harness.interface import Cluster, HarnessError

NAME = "demo"
NAMESPACE = "default"
RUN = "weather-2010"
REPORT = "weather report: "
GLYPHS = {"Success": "█", "Running": "▒", "Retrying": "↻", "Failed": "✗", "TriggerFailed": "✗"}
WAITS = "·"


def main() -> int:
    """Show it, and say how to go on."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.demo", description=__doc__)
    parser.add_argument("--name", default=NAME, help="of the cluster (default: %(default)s)")
    parser.add_argument("--down", action="store_true", help="take the cluster down again at the end")
    arguments = parser.parse_args()
    try:
        cluster = bring_up(arguments.name)
        try:
            succeeded = show(cluster)
        finally:
            if arguments.down:
                cluster.stop()
        if not arguments.down:
            print(next_steps(cluster))
    except HarnessError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say(f"interrupted; `python -m tests.cluster down --name {arguments.name}` takes the cluster down if it is up")
        return 130
    return 0 if succeeded else 1


def bring_up(name: str) -> Cluster:
    """Return the cluster of this name with Flowkiln on it, whether it ran before or not."""
    cluster = choose.cluster(name, owned=False)
    try:
        cluster.kubectl("get", "--raw=/readyz")
    except HarnessError:
        cluster.start()
    images = cluster.images()
    with announced("installing Flowkiln"):
        install(cluster, images)
    return cluster


def show(cluster: Cluster) -> bool:
    """Run the weather flow anew and print what happens. Returns whether it succeeded."""
    in_namespace = f"--namespace={NAMESPACE}"
    cluster.kubectl("delete", FLOW_RUN, RUN, in_namespace, "--ignore-not-found")
    with (
        logs_of_runs(cluster, NAMESPACE) as logs,
        recording(cluster, FLOW_RUNS.format(namespace=NAMESPACE)) as recorded,
    ):
        for name in ("flow.yaml", "flowrun.yaml"):
            path = EXAMPLES / "weather" / name
            print(f"$ kubectl apply -f {path.relative_to(EXAMPLES.parent)}")
            print(cluster.kubectl("apply", in_namespace, f"--filename={path}"), end="")
        shown = 0
        run: Object = {}

        def ended() -> bool:
            nonlocal shown, run
            versions = recorded.of(RUN)
            for version in versions[shown:]:
                run = version.object
                print(f"{version.at:%H:%M:%S}  {line(run)}", flush=True)
            shown = len(versions)
            return condition(run, "Finished").get("status") == "True"

        wait_until("the run ends", ended, seconds=PATIENCE)
        print(f"\n$ kubectl get flowruns.flowkiln.dev\n{cluster.kubectl('get', FLOW_RUN, in_namespace)}")
        if state(run) != "Success":
            return False
        reported = logs.wait_for("worker", REPORT)
    print("\n".join(table(json.loads(reported.partition(REPORT)[2]))))
    return True


def line(run: Object) -> str:
    """Return a run's status in one line: state, reason, progress, and each task with a sign for each task run."""
    status = run.get("status", {})
    reason = condition(run, "Finished").get("reason", "")
    progress = status.get("flow", {}).get("progress", "")
    head = f"{state(run) or 'new':<8} {'' if reason == state(run) else reason:<16} {progress:>6}"
    return f"{head}  {'  '.join(task_signs(task) for task in status.get('tasks', ()))}".rstrip()


def task_signs(task: Mapping[str, Any]) -> str:
    """Return a task's name, with a sign for its state, or for each of its children."""
    counts: Mapping[str, int] = task.get("children", {}).get("counts", {}) or {task["state"]: 1}
    ordered = sorted(counts.items(), key=lambda count: list(GLYPHS).index(count[0]) if count[0] in GLYPHS else 99)
    return f"{task['name']} {''.join(GLYPHS.get(state, WAITS) * count for state, count in ordered)}"


def table(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the report, each month with the worker pod and process that computed it."""
    yield f"Seattle 2010, degrees {report['unit']}: {report['readings']} readings"
    yield f"{'month':<8} {'low':>7} {'mean':>7} {'high':>7} {'trend a day':>12}   computed in"
    for month in report["months"]:
        figures = " ".join(f"{month[name]:7.2f}" for name in ("low", "mean", "high"))
        yield f"{month['month']:<8} {figures} {month['trend']:+12.2f}   {month['pod']}, process {month['pid']}"


def next_steps(cluster: Cluster) -> str:
    """Return what to type next."""
    return f"""
The cluster {cluster.name} stays up. To go on:
  export KUBECONFIG={cluster.kubeconfig}
  kubectl get {FLOW_RUN} {RUN} --output=yaml
  kubectl delete {FLOW_RUN} {RUN}            # and everything that belongs to it
  kubectl apply -f examples/hello/
To take it down:
  python -m tests.cluster down --name {cluster.name}"""


if __name__ == "__main__":
    sys.exit(main())
