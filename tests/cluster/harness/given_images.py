"""The images that a person names instead of having them built: FLOWKILN_TEST_IMAGE, FLOWKILN_TEST_RUNTIME_IMAGE."""

from __future__ import annotations

import os

from .commands import say
from .interface import HarnessError, Images

IMAGE = "FLOWKILN_TEST_IMAGE"
RUNTIME_IMAGE = "FLOWKILN_TEST_RUNTIME_IMAGE"


def given_images() -> Images | None:
    """Return the images that the settings name, None without any.

    HarnessError for a runtime image without the operator's.
    """
    operator, runtime = os.environ.get(IMAGE), os.environ.get(RUNTIME_IMAGE)
    if not operator:
        if runtime:
            raise HarnessError(f"{RUNTIME_IMAGE} is set: set {IMAGE} too, to an image of the target `operator`")
        return None
    if not runtime:
        say(
            f"{IMAGE} is the image of runs too; it holds the Kubernetes client, which some packages of users do not "
            f"go with: set {RUNTIME_IMAGE} to an image of the target `runtime`"
        )
    return Images(runtime=runtime or operator, operator=operator)
