"""A table of objects of one kind, each in the newest version that a watch or a write of the controller has shown."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from flowkiln_operator.controller.work_queue import Key

Document = Mapping[str, Any]
Scope: TypeAlias = str | None
"""What one watch covers: a namespace, or None for all of them."""
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Row(Generic[Value]):
    """One object: the value that is kept of it, and the version it was read from."""

    uid: str
    version: int
    value: Value


class Table(Generic[Value]):
    """Rows by namespace and name, and by group within a namespace.

    Events, lists and responses to the controller's own writes arrive in any order. A row is therefore never replaced by
    an older version (resource versions are compared as numbers). A response that is older than the position of the
    watch is ignored, because its object may have been deleted since.
    """

    def __init__(
        self,
        read: Callable[[Document], Value],
        *,
        group: Callable[[Value], str],
        on_change: Callable[[Key, Value | None, Value | None], None],
    ) -> None:
        """Create an empty table.

        `read` extracts the value that is kept of an object, `group` its group (empty for none). `on_change` gets the
        values before and after each change; None where there is none.
        """
        self._read, self._group_of, self._on_change = read, group, on_change
        self._rows: dict[Key, Row[Value]] = {}
        self._groups: defaultdict[Key, set[Key]] = defaultdict(set)
        self._positions: dict[Scope, int] = {}

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def __contains__(self, key: Key) -> bool:
        """Return whether an object is known."""
        return key in self._rows

    def get(self, key: Key) -> Value | None:
        """Return what is known of an object; None when there is none."""
        row = self._rows.get(key)
        return row.value if row is not None else None

    def group(self, namespace: str, name: str) -> list[tuple[Key, Value]]:
        """Return the objects of a group in a namespace."""
        return [(key, self._rows[key].value) for key in self._groups.get((namespace, name), ())]

    def items(self) -> Iterator[tuple[Key, Value]]:
        """Yield all objects."""
        return ((key, row.value) for key, row in self._rows.items())

    def take(self, document: Document) -> None:
        """Store an object from a list or a watch."""
        key, version = key_of(document), version_of(document)
        before = self._rows.get(key)
        if before is None or before.version < version:
            self._set(key, Row(document["metadata"]["uid"], version, self._read(document)))

    def learn(self, document: Document) -> None:
        """Store an object from the response to a request, unless the watch has shown later versions already."""
        namespace, _ = key_of(document)
        position = self._positions.get(None, self._positions.get(namespace, 0))
        if version_of(document) > position:
            self.take(document)

    def lose(self, document: Document) -> None:
        """Remove a deleted object, unless a new object has its name already."""
        key = key_of(document)
        row = self._rows.get(key)
        if row is not None and row.uid == document["metadata"]["uid"]:
            self._remove(key)

    def reached(self, scope: Scope, version: int) -> None:
        """Record that the watch of a scope has shown everything up to this version."""
        self._positions[scope] = max(version, self._positions.get(scope, 0))

    def listed(self, scope: Scope, keys: Set[Key], version: int) -> None:
        """Remove the rows that a complete list of this version lacks: they were deleted while no watch was open."""
        gone = [
            key
            for key, row in self._rows.items()
            if scope in (None, key[0]) and key not in keys and row.version <= version
        ]
        for key in gone:
            self._remove(key)
        self.reached(scope, version)

    def _set(self, key: Key, row: Row[Value]) -> None:
        before = self._rows.get(key)
        if before is not None:
            self._leave_group(key, before.value)
        self._rows[key] = row
        if group := self._group_of(row.value):
            self._groups[key[0], group].add(key)
        self._on_change(key, before.value if before is not None else None, row.value)

    def _remove(self, key: Key) -> None:
        row = self._rows.pop(key)
        self._leave_group(key, row.value)
        self._on_change(key, row.value, None)

    def _leave_group(self, key: Key, value: Value) -> None:
        group = (key[0], self._group_of(value))
        if group in self._groups:
            self._groups[group].discard(key)
            if not self._groups[group]:
                del self._groups[group]


def key_of(document: Document) -> Key:
    """Return namespace and name of an object."""
    metadata = document["metadata"]
    return metadata["namespace"], metadata["name"]


def version_of(document: Document) -> int:
    """Return the resource version of an object or list, which grows with each change of any object of the kind."""
    return int(document["metadata"]["resourceVersion"])
