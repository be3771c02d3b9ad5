"""What is in Docker's store of images."""

from __future__ import annotations

from tests.cluster.harness.commands import announced, run
from tests.cluster.harness.images.buildah import GENERATIONS
from tests.cluster.harness.interface import HarnessError


def has(image: str) -> bool:
    """Return whether Docker has an image of this reference."""
    return run(["docker", "image", "inspect", image], check=False).returncode == 0


def pull(image: str) -> bool:
    """Pull an image; whether that worked."""
    with announced(f"docker pulls {image}"):
        return run(["docker", "pull", "--quiet", image], check=False).returncode == 0


def ensure(image: str, *, setting: str) -> None:
    """Pull an image that Docker does not have; HarnessError with the setting that names it when it cannot be had."""
    if not has(image) and not pull(image):
        raise HarnessError(
            f"{setting}={image}: Docker has no such image and cannot pull it; correct it or load the image"
        )


def forget_old(reference: str) -> None:
    """Drop all but the newest images of a reference's name, and never itself."""
    name = reference.rpartition(":")[0]
    listed = run(["docker", "image", "ls", "--format={{.Repository}}:{{.Tag}}", name]).stdout.split()  # newest first
    for old in [other for other in listed if other != reference][GENERATIONS - 1 :]:
        run(["docker", "image", "rm", old], check=False)  # a container may be using it
