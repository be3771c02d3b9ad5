"""A cluster that somebody brings: FLOWKILN_TEST_KUBECONFIG, and images that its nodes can pull.

They are FLOWKILN_TEST_IMAGE and, for runs, FLOWKILN_TEST_RUNTIME_IMAGE.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from . import commands
from .given_images import given_images
from .interface import HarnessError, Images, NotOfferedError

INSTEAD = "run this test with kind or with the built node (unset FLOWKILN_TEST_KUBECONFIG)"


class BroughtCluster:
    """Somebody's cluster: it is used as it is, and stays."""

    way = "bring"
    name = "brought"

    def __init__(self) -> None:
        given = os.environ.get("FLOWKILN_TEST_KUBECONFIG")
        if not given:
            raise HarnessError("to bring a cluster, set FLOWKILN_TEST_KUBECONFIG and FLOWKILN_TEST_IMAGE")
        self._images = given_images()
        self.kubeconfig = Path(given).expanduser().resolve()

    def prepare(self) -> None:
        """There is nothing to build."""

    def start(self) -> None:
        """Check that it answers and that the image is named."""
        if not self.kubeconfig.is_file():
            raise HarnessError(f"FLOWKILN_TEST_KUBECONFIG names no file: {self.kubeconfig}")
        if self._images is None:
            raise HarnessError(
                "FLOWKILN_TEST_KUBECONFIG is set: set FLOWKILN_TEST_IMAGE too, to an image built from the Dockerfile's "
                "target `operator` that the cluster's nodes can pull"
            )
        self.kubectl("get", "--raw=/readyz")

    def stop(self) -> None:
        """Leave it as it is."""

    def keep_logs(self) -> Path | None:
        """Return None: its processes are not on this host."""
        return None

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> str:
        """Run kubectl with the kubeconfig that was brought."""
        return commands.kubectl(self.kubeconfig, *arguments, input=input, check=check)

    def images(self) -> Images:
        """Return the images that were named."""
        if self._images is None:
            raise HarnessError("set FLOWKILN_TEST_IMAGE")
        return self._images

    def load_image(self, image: str | Path) -> None:
        """Not offered."""
        raise NotOfferedError(f"cannot load an image into a cluster that somebody brings; {INSTEAD}")

    def build_image(self, folder: Path, base: str) -> str:
        """Not offered."""
        raise NotOfferedError(f"cannot load an image into a cluster that somebody brings; {INSTEAD}")

    def audit_events(self) -> Iterator[Mapping[str, Any]]:
        """Not offered."""
        raise NotOfferedError(f"a cluster that somebody brings has no audit log for tests; {INSTEAD}")

    def exec_in_network(
        self, command: Sequence[str], *, timeout: float = 60, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Not offered."""
        raise NotOfferedError(f"the pods of a cluster that somebody brings cannot be reached from here; {INSTEAD}")

    def api_server_down(self) -> AbstractContextManager[None]:
        """Not offered."""
        raise NotOfferedError(f"the API server of a cluster that somebody brings is not ours to stop; {INSTEAD}")
