"""`python -m tests.cluster`: a test cluster by hand."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from .harness import choose
from .harness.commands import kubectl_path, say
from .harness.interface import Cluster, HarnessError


def up(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Start it, with the product's images on it if wanted, and print its kubeconfig's path."""
    cluster.start()
    if arguments.images:
        cluster.images()
    print(cluster.kubeconfig)


def down(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Stop it."""
    cluster.stop()


def status(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Say which way made it and what runs on it."""
    print(f"{cluster.name}: made by way of `{cluster.way}`; kubeconfig {cluster.kubeconfig}")
    print(cluster.kubectl("get", "nodes,pods", "--all-namespaces"), end="")


def logs(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Copy the logs of its processes and pods to a folder, and print that."""
    print(cluster.keep_logs() or "the logs of this cluster are not on this host")


def kubectl(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Become kubectl for this cluster."""
    program = kubectl_path()
    os.execv(program, [program, f"--kubeconfig={cluster.kubeconfig}", *arguments.arguments])


def load(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Bring an image onto the node: a docker-archive's path, or a reference."""
    image: str = arguments.image
    cluster.load_image(Path(image) if Path(image).is_file() else image)


def build(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Build the product's images, bring them onto the node, and print their references."""
    built = cluster.images()
    print(f"runtime  {built.runtime}\noperator {built.operator}")


def env(cluster: Cluster, arguments: argparse.Namespace) -> None:
    """Print what a shell exports to use it: `eval "$(python -m tests.cluster env)"`."""
    built = cluster.images()
    exports = {
        "KUBECONFIG": str(cluster.kubeconfig),
        "FLOWKILN_TEST_REUSE": arguments.name,
        "FLOWKILN_RUNTIME_IMAGE": built.runtime,
        "FLOWKILN_OPERATOR_IMAGE": built.operator,
    }
    for name, value in exports.items():
        print(f"export {name}={shlex.quote(value)}")


COMMANDS: Sequence[Callable[[Cluster, argparse.Namespace], None]] = (up, down, status, logs, kubectl, load, build, env)


def main() -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--name", default="default", help="of the cluster (default: %(default)s)")
    subparsers = parser.add_subparsers(required=True)
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.__name__, help=command.__doc__, description=command.__doc__)
        subparser.set_defaults(command=command)
        if command is up:
            subparser.add_argument("--images", action="store_true", help="build and load the product's images too")
        if command is load:
            subparser.add_argument("image")
        if command is kubectl:
            subparser.add_argument("arguments", nargs=argparse.REMAINDER)
        else:
            subparser.add_argument("--name", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        arguments.command(choose.cluster(arguments.name, owned=False), arguments)
    except HarnessError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("interrupted; nothing is left running of what had begun")
        return 130
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
