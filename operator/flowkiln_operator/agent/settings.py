"""Settings of the agent from environment variables and mounted files of its pod."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flowkiln.api.pods import (
    AGENT_PORT,
    CLUSTER_NUMBER_VARIABLE,
    PLAN_VARIABLE,
    POD_UID_VARIABLE,
    SCHEDULER_VARIABLE,
    TOKEN_DIRECTORY,
)
from flowkiln.common.exceptions import FlowkilnError


class SettingsError(FlowkilnError):
    """A setting is missing or invalid."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one agent."""

    plan: Path
    pod_uid: str
    cluster_number: int
    scheduler: str
    api_server: str
    token: Path
    ca: Path
    health_port: int
    restarts: int
    """Number of restarts of the engine process in this container."""
    last_exit: str
    """How the previous engine process ended, for people; empty for the first one."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings; raise SettingsError with the name of the missing or invalid variable."""
    credentials = Path(environment.get("FLOWKILN_CREDENTIALS", TOKEN_DIRECTORY))
    host = _required(environment, "KUBERNETES_SERVICE_HOST")
    port = _number(environment, "KUBERNETES_SERVICE_PORT", default="443")
    return Settings(
        plan=Path(_required(environment, PLAN_VARIABLE)),
        pod_uid=_required(environment, POD_UID_VARIABLE),
        cluster_number=_number(environment, CLUSTER_NUMBER_VARIABLE),
        scheduler=_required(environment, SCHEDULER_VARIABLE),
        api_server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        token=credentials / "token",
        ca=credentials / "ca.crt",
        health_port=_number(environment, "FLOWKILN_HEALTH_PORT", default=str(AGENT_PORT)),
        restarts=_number(environment, "FLOWKILN_ENGINE_RESTARTS", default="0"),
        last_exit=environment.get("FLOWKILN_ENGINE_LAST_EXIT", ""),
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    if not (value := environment.get(name, "")):
        raise SettingsError(f"the environment variable {name} is not set; the operator sets it for the agent")
    return value


def _number(environment: Mapping[str, str], name: str, default: str | None = None) -> int:
    text = environment.get(name, "") or default or _required(environment, name)
    if not text.isdigit():
        raise SettingsError(f"the environment variable {name} is {text!r}; it must be a whole number")
    return int(text)
