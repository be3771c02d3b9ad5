"""Digests of the inputs of a cached task, taken before its body can change the values in place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowkiln.states.result import Result


@dataclass(frozen=True, slots=True)
class Digested:
    """A value and its digest at one moment; if it has no digest, `reason` says why."""

    value: Any
    digest: str | None
    reason: str = ""

    def is_same(self, other: Digested) -> bool:
        """Return whether both have the same digest; a value without digest equals no other."""
        return self.digest is not None and self.digest == other.digest


@dataclass(frozen=True, slots=True)
class CacheRecord:
    """The digests of those inputs and parameters of one task run that its cache validator compares."""

    inputs: Mapping[str, Digested] = field(default_factory=dict)
    parameters: Mapping[str, Digested] = field(default_factory=dict)

    def without_digest(self) -> dict[str, str]:
        """Return the names of the values without digest, with the reasons."""
        both = {**self.inputs, **self.parameters}
        return {name: value.reason for name, value in both.items() if value.digest is None}


def digested(value: Any) -> Digested:
    """Return a value with its digest."""
    # Imported here: most runs compare nothing.
    from flowkiln.states.digests import NoDigest, digest

    try:
        return Digested(value, digest(value))
    except NoDigest as reason:
        return Digested(value, None, str(reason))


def plain_values(mapping: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the unwrapped values by name; None means no values."""
    return {k: v.value if isinstance(v, Result) else v for k, v in (mapping or {}).items()}


def all_digested(mapping: Mapping[str, Any] | None, names: Collection[str] | None = None) -> dict[str, Digested]:
    """Return the values with these names (None: all), with their digests."""
    return {k: digested(v) for k, v in plain_values(mapping).items() if names is None or k in names}
