"""What a cached task ran with: digests that are taken before its body can change the values in place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowkiln.states.result import Result


@dataclass(frozen=True, slots=True)
class Digested:
    """A value, and its digest at that moment; without one, `reason` says why it has none."""

    value: Any
    digest: str | None
    reason: str = ""

    def is_same(self, other: Digested) -> bool:
        """Whether both are known to have been the same; what has no digest is the same as nothing."""
        return self.digest is not None and self.digest == other.digest


@dataclass(frozen=True, slots=True)
class CacheRecord:
    """The digests of inputs and parameters of one task run; of those that its cache validator looks at."""

    inputs: Mapping[str, Digested] = field(default_factory=dict)
    parameters: Mapping[str, Digested] = field(default_factory=dict)

    def without_digest(self) -> dict[str, str]:
        """Return the names of what is the same as nothing, with the reasons."""
        both = {**self.inputs, **self.parameters}
        return {name: value.reason for name, value in both.items() if value.digest is None}


def digested(value: Any) -> Digested:
    """Return a value with its digest."""
    # Most runs compare nothing, and need not load what compares.
    from flowkiln.states.digests import NoDigest, digest

    try:
        return Digested(value, digest(value))
    except NoDigest as reason:
        return Digested(value, None, str(reason))


def plain_values(mapping: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return values by their names, out of their `Result` wrappers; None is empty."""
    return {k: v.value if isinstance(v, Result) else v for k, v in (mapping or {}).items()}


def all_digested(mapping: Mapping[str, Any] | None, names: Collection[str] | None = None) -> dict[str, Digested]:
    """Return the values with these names (None: all) with their digests."""
    return {k: digested(v) for k, v in plain_values(mapping).items() if names is None or k in names}
