"""The plan: what a run does, fixed when it starts. The operator writes it, the agent reads it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from functools import cached_property
from typing import Any, Final, Literal

from pydantic import Field, JsonValue, ValidationError

from flowkiln.api.flow import FlowSpec
from flowkiln.api.model import Model

PLAN_VERSION: Final = 1
PLAN_KEY = "plan.json.gz"
"""Key in the ConfigMap's binaryData, and name of the mounted file."""


MAX_DOCUMENT_BYTES = 1024 * 1024
"""The longest JSON that is read. What a plan may come to is less (`validation.sizes`)."""


class PlanError(ValueError):
    """A plan cannot be read: it is damaged, or made by a version of Flowkiln that this one does not understand."""


class PlanRun(Model):
    """The FlowRun that the plan is for."""

    namespace: str
    name: str
    uid: str


class PlanFlow(Model):
    """The Flow that the plan was made of; for an inline flowSpec `inline` is true and `name` the run's own."""

    name: str
    generation: int = 0
    inline: bool = False


class Plan(Model):
    """The resolved spec of a run, without the contents of its source files (they are mounted beside it).

    `parameters` are the run's with defaults filled in; `context` is the flow's with the run's laid over it.
    """

    version: Literal[1] = PLAN_VERSION
    run: PlanRun
    flow: PlanFlow
    spec: FlowSpec
    parameters: dict[str, JsonValue] = Field(default={})
    context: dict[str, JsonValue] = Field(default={})

    @classmethod
    def make(
        cls,
        *,
        run: PlanRun,
        flow: PlanFlow,
        spec: FlowSpec,
        parameters: dict[str, JsonValue],
        context: dict[str, JsonValue],
    ) -> Plan:
        """Make the plan of a run; `context` is the run's own and is laid over the flow's here."""
        return cls(
            run=run,
            flow=flow,
            spec=spec.model_copy(update={"source": None}),
            parameters=parameters,
            context={**spec.context, **context},
        )

    @cached_property
    def document(self) -> bytes:
        """Return the plan as canonical JSON."""
        document: dict[str, Any] = {
            "version": self.version,
            "run": self.run.to_json(),
            "flow": self.flow.to_json(),
            "spec": self.spec.to_json(),
            "parameters": self.parameters,
            "context": self.context,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()

    @property
    def sha256(self) -> str:
        """Digest of the canonical JSON, in hex; it does not depend on the compression."""
        return hashlib.sha256(self.document).hexdigest()

    def encode(self) -> bytes:
        """Return the plan as gzip-compressed JSON; equal plans give equal bytes."""
        return gzip.compress(self.document, compresslevel=6, mtime=0)

    @classmethod
    def decode(cls, data: bytes) -> Plan:
        """Read what `encode` wrote; raise PlanError if it is damaged or of an unknown version."""
        try:
            document = json.loads(_decompressed(data))
        except (OSError, EOFError, ValueError, zlib.error, RecursionError) as error:
            raise PlanError(f"the plan is damaged: {error}") from error
        version = document.get("version") if isinstance(document, dict) else None
        if version != PLAN_VERSION:
            raise PlanError(f"the plan has version {version!r}, and this flowkiln understands only {PLAN_VERSION}")
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise PlanError(f"the plan is damaged: {error}") from error


def _decompressed(data: bytes) -> bytes:
    """Decompress, but no more than a plan can have: what is read may be a stranger's."""
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        document = stream.read(MAX_DOCUMENT_BYTES + 1)
    if len(document) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"it is longer than {MAX_DOCUMENT_BYTES} bytes")
    return document
