"""What every way to a test cluster offers, whoever made it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class HarnessError(Exception):
    """The harness cannot do what was asked; the message says what is missing and what to do."""


class NotOfferedError(HarnessError):
    """This kind of cluster cannot do it at all (a cluster that somebody brings has no audit log for us, say)."""


@dataclass(frozen=True)
class Images:
    """References of the product's two images, as the cluster's nodes know them."""

    runtime: str
    operator: str


class Cluster(Protocol):
    """A Kubernetes cluster for tests."""

    @property
    def way(self) -> str:
        """`bring`, `kind` or `node`: the way that made it."""

    @property
    def name(self) -> str:
        """Unique among the clusters of this host."""

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig with all rights, good on this host outside any network namespace."""

    def prepare(self) -> None:
        """Install and build what is needed once on this host: minutes at first, nothing later. `start` and `images` do
        the same when it was not called before.
        """

    def start(self) -> None:
        """Bring it up, until the node is Ready."""

    def stop(self) -> None:
        """Take it down and leave nothing behind. Harmless when it is down already."""

    def keep_logs(self) -> Path | None:
        """Copy the logs of the cluster's own processes and pods to a folder that outlives it, and return that."""

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> str:
        """Run kubectl against the cluster and return what it printed; a failure raises CommandError."""

    def images(self) -> Images:
        """Build the product's images if need be, bring them onto the node, and return their references."""

    def load_image(self, image: str | Path) -> None:
        """Bring an image onto the node: a docker-archive, or a reference that the local image builder knows."""

    def build_image(self, folder: Path, base: str) -> str:
        """Build an image from a folder with a Dockerfile, whose argument BASE becomes `base` (one of `images()`), bring
        it onto the node, and return its reference. NotOfferedError where no image can be brought.
        """

    def audit_events(self) -> Iterator[Mapping[str, Any]]:
        """Yield the API server's audit events so far, oldest first (level Metadata). NotOfferedError without a log."""

    def exec_in_network(
        self, command: Sequence[str], *, timeout: float = 60, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command where pods and services can be reached. NotOfferedError where there is no such place."""

    def api_server_down(self) -> AbstractContextManager[None]:
        """Stop the API server for the length of a `with` block. NotOfferedError where it is not ours."""
