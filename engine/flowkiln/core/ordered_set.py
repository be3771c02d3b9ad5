"""A set that keeps insertion order and counts its changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet
from typing import TypeVar

T = TypeVar("T")


class OrderedSet(MutableSet[T]):
    """Equal to a plain set of the same elements; iterates in insertion order. `version` grows with each change."""

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._items = dict.fromkeys(items)
        self.version = 0

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: T) -> None:
        """Add an element at the end, unless it exists."""
        if item not in self._items:
            self._items[item] = None
            self.version += 1

    def discard(self, item: T) -> None:
        """Remove an element if it exists."""
        if item in self._items:
            del self._items[item]
            self.version += 1

    def update(self, items: Iterable[T]) -> None:
        """Add several elements."""
        for item in items:
            self.add(item)

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self._items))}}}"
