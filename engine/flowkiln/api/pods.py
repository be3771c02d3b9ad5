"""What Flowkiln puts into a run's pods: the operator sets it, the agent reads it, a podTemplate may not replace it."""

from __future__ import annotations

from typing import Final

from flowkiln.common.configuration import ENVIRONMENT_PREFIX
from flowkiln.common.source_folders import CLUSTER_FOLDER

SCHEDULER_PORT: Final = 8786
HTTP_PORT: Final = 8787
AGENT_PORT: Final = 8790

TEMPORARY_DIRECTORY: Final = "/tmp"  # noqa: S108 - a path in pods
"""The only folder of a container that can be written to. Volumes may be mounted below it."""
SOURCE_DIRECTORY: Final = CLUSTER_FOLDER
PLAN_DIRECTORY: Final = "/etc/flowkiln/plan"
TLS_DIRECTORY: Final = "/etc/flowkiln/tls"
SECRETS_DIRECTORY: Final = "/var/run/flowkiln/secrets"
"""Where secret inputs are mounted in worker pods: `<secret>/<key>` below it."""
TOKEN_DIRECTORY: Final = "/var/run/secrets/flowkiln"  # noqa: S105 - a folder, no password
"""Where the agent's container, and no other, has its ServiceAccount's token and the API server's CA."""

PLAN_VARIABLE: Final = "FLOWKILN_PLAN"
SCHEDULER_VARIABLE: Final = "FLOWKILN_SCHEDULER"
CLUSTER_NUMBER_VARIABLE: Final = "FLOWKILN_CLUSTER_NUMBER"
POD_UID_VARIABLE: Final = "FLOWKILN_POD_UID"

RESERVED_NAME: Final = "flowkiln-"
"""How the names of Flowkiln's own volumes begin."""
RESERVED_PATHS: Final = ("/etc/flowkiln", "/var/run/flowkiln", "/var/run/secrets")
RESERVED_VARIABLES: Final = ("FLOWKILN_", "DASK_DISTRIBUTED__COMM__")
"""How the names of environment variables begin that Flowkiln alone sets: its own, and Dask's for TLS.

Those of the configuration (`FLOWKILN__SECTION__KEY`) are for users to set.
"""


def is_reserved_volume(name: str) -> bool:
    """Return whether a volume's name is kept for Flowkiln."""
    return name.startswith(RESERVED_NAME)


def is_reserved_variable(name: str) -> bool:
    """Return whether an environment variable is set by Flowkiln alone."""
    return name.startswith(RESERVED_VARIABLES) and not name.startswith(ENVIRONMENT_PREFIX)


def is_reserved_path(path: str) -> bool:
    """Return whether a mount at an absolute path would hide, or be hidden by, what Flowkiln mounts."""
    plain = "/" + path.strip("/")
    return plain in ("/", TEMPORARY_DIRECTORY) or any(_overlap(plain, reserved) for reserved in RESERVED_PATHS)


def _overlap(path: str, reserved: str) -> bool:
    return f"{path}/".startswith(f"{reserved}/") or f"{reserved}/".startswith(f"{path}/")
