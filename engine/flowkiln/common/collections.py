"""Mappings with attribute access, and helpers for nested collections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from copy import copy
from typing import Any, TypeVar

# A key with one of these names conflicts with the method of that name.
_CRITICAL_KEYS = frozenset(dir(MutableMapping)) | {"copy", "to_dict", "_items"}


class DotDict(MutableMapping[Any, Any]):
    """A mutable mapping whose items are attributes too: `d["a"] is d.a`.

    A missing key raises KeyError, a missing attribute AttributeError. Keys may be any hashable through `[]`; a key
    that is the name of a mapping method raises ValueError while `__protect_critical_keys__` is true.
    """

    __protect_critical_keys__ = True

    def __init__(self, init: Mapping[Any, Any] | Iterable[tuple[Any, Any]] | None = None, **kwargs: Any) -> None:
        object.__setattr__(self, "_items", {})
        self.update({} if init is None else init)
        self.update(kwargs)

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._check_key(key)
        self._items[key] = value

    def _check_key(self, key: Any) -> None:
        if self.__protect_critical_keys__ and key in _CRITICAL_KEYS:
            raise ValueError(f"{key!r} is the name of a method of {type(self).__name__}; use another key.")

    def _check_keys(self, keys: Mapping[Any, Any]) -> None:
        if not _CRITICAL_KEYS.isdisjoint(keys):
            for key in keys:
                self._check_key(key)

    def __delitem__(self, key: Any) -> None:
        del self._items[key]

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __getattr__(self, name: str) -> Any:
        # `_items` is missing only while an object is being unpickled or copied.
        if name != "_items" and name in self._items:
            return self._items[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__") and name.endswith("__"):
            object.__setattr__(self, name, value)
        else:
            self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(key for key in self if isinstance(key, str))})

    def __repr__(self) -> str:
        keys = sorted(repr(key) for key in self)
        return f"<{type(self).__name__}: {', '.join(keys)}>" if keys else f"<{type(self).__name__}>"

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def copy(self) -> DotDict:
        """Return a shallow copy of the same type."""
        return type(self)(self)

    def to_dict(self) -> dict[Any, Any]:
        """Return plain dicts all the way down, also inside lists, tuples and sets."""
        plain: dict[Any, Any] = as_nested_dict(self, dict)
        return plain


MappingType = TypeVar("MappingType", bound=MutableMapping[Any, Any])


def merge_dicts(d1: MappingType, d2: Mapping[Any, Any]) -> MappingType:
    """Return a new mapping of the type of `d1`: both merged level by level, `d2` wins."""
    merged = copy(d1)
    for key, value in d2.items():
        ours = merged.get(key)
        if isinstance(ours, MutableMapping) and isinstance(value, Mapping):
            merged[key] = merge_dicts(ours, value)
        else:
            merged[key] = value
    return merged


def as_nested_dict(obj: Any, dct_class: type[MutableMapping[Any, Any]] = DotDict) -> Any:
    """Convert every mapping in `obj` to `dct_class`, through lists, tuples and sets; other objects stay as they are."""
    if isinstance(obj, Mapping):
        converted = dct_class()
        for key, value in obj.items():
            converted[key] = as_nested_dict(value, dct_class)
        return converted
    if isinstance(obj, list | tuple | set | frozenset):
        elements = [as_nested_dict(element, dct_class) for element in obj]
        if isinstance(obj, tuple) and hasattr(obj, "_fields"):
            return type(obj)(*elements)
        return type(obj)(elements)
    return obj


def flatten_seq(seq: Iterable[Any]) -> Iterator[Any]:
    """Yield the leaves of nested iterables in order; str and bytes are leaves.

    Raises:
        TypeError: `seq` is not iterable, or is itself a str or bytes.
    """
    if isinstance(seq, str | bytes) or not isinstance(seq, Iterable):
        raise TypeError(f"flatten_seq needs an iterable of things, not {type(seq).__name__}.")
    return _leaves(seq)


def _leaves(seq: Iterable[Any]) -> Iterator[Any]:
    for item in seq:
        if isinstance(item, Iterable) and not isinstance(item, str | bytes):
            yield from _leaves(item)
        else:
            yield item
