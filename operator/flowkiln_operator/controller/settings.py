"""Settings of the operator from environment variables, checked at its start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from flowkiln.api.model import LabelValue
from flowkiln_operator.resources.dask_cluster import CLUSTER_DOMAIN

PREFIX = "FLOWKILN_"


class SettingsError(ValueError):
    """A setting is missing or invalid; the message names the variable."""


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class Settings(BaseModel):
    """The operator's settings. Each is read from `FLOWKILN_` and its name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runtime_image: Annotated[str, Field(min_length=1)]
    """Image of scheduler, agent and workers for flows that name none."""
    namespaces: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    """The namespaces to watch, separated by commas; none means all."""
    run_class: LabelValue = ""
    """The class of runs to reconcile, by the label `flowkiln.dev/class`; empty: runs without the label."""
    runtime_image_pull_secrets: Annotated[tuple[str, ...], BeforeValidator(_split)] = ()
    """Secrets in the runs' namespaces with which the runtime image is pulled, separated by commas."""
    cluster_domain: Annotated[str, Field(min_length=1)] = CLUSTER_DOMAIN
    """The DNS suffix of Services."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    http_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port of /healthz and /metrics; 0 takes a free one."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 16
    """Maximum number of concurrent reconciles."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings; raise SettingsError for missing or invalid ones."""
        given = {
            name: environment[variable]
            for name in cls.model_fields
            if (variable := f"{PREFIX}{name.upper()}") in environment
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            first = error.errors()[0]
            variable = f"{PREFIX}{str(first['loc'][0]).upper()}"
            raise SettingsError(f"{variable}: {first['msg']}") from error
