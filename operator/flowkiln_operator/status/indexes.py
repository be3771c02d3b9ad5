"""Sets of map indexes as sorted ranges: compact and quick to change at any size."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flowkiln.api.limits import MAX_INDEXES


@dataclass(frozen=True, slots=True)
class IndexText:
    """Indexes in the notation of a Job's completedIndexes ("1,3-5,7"); `truncated` if the text is incomplete."""

    text: str
    truncated: bool


class IndexSet:
    """A mutable set of indexes, stored as sorted ranges. One change costs a binary search."""

    __slots__ = ("_lasts", "_size", "_starts")

    def __init__(self, stop: int = 0) -> None:
        """Create the set 0 … stop - 1."""
        self._starts: list[int] = [0] if stop > 0 else []
        self._lasts: list[int] = [stop - 1] if stop > 0 else []
        self._size = max(stop, 0)

    def __len__(self) -> int:
        return self._size

    def __contains__(self, index: int) -> bool:
        place = bisect_right(self._starts, index) - 1
        return place >= 0 and index <= self._lasts[place]

    def __iter__(self) -> Iterator[int]:
        for start, last in self.runs():
            yield from range(start, last + 1)

    def runs(self) -> Iterator[tuple[int, int]]:
        """Return the ranges (first, last), ascending and never adjacent."""
        return zip(self._starts, self._lasts, strict=True)

    def add(self, index: int) -> None:
        """Add one index, if it is not in the set."""
        starts, lasts = self._starts, self._lasts
        place = bisect_right(starts, index)
        if place and index <= lasts[place - 1]:
            return
        self._size += 1
        joins_left = place > 0 and lasts[place - 1] == index - 1
        joins_right = place < len(starts) and starts[place] == index + 1
        if joins_left and joins_right:
            lasts[place - 1] = lasts.pop(place)
            del starts[place]
        elif joins_left:
            lasts[place - 1] = index
        elif joins_right:
            starts[place] = index
        else:
            starts.insert(place, index)
            lasts.insert(place, index)

    def remove(self, index: int) -> None:
        """Remove one index, if it is in the set."""
        starts, lasts = self._starts, self._lasts
        place = bisect_right(starts, index) - 1
        if place < 0 or index > lasts[place]:
            return
        self._size -= 1
        start, last = starts[place], lasts[place]
        if start == last:
            del starts[place], lasts[place]
        elif index == start:
            starts[place] = index + 1
        elif index == last:
            lasts[place] = index - 1
        else:
            lasts[place] = index - 1
            starts.insert(place + 1, index + 1)
            lasts.insert(place + 1, last)

    def text(self, max_bytes: int = MAX_INDEXES) -> IndexText:
        """Return as much of the set as fits, lowest indexes first. The cost depends on `max_bytes`, not on the set."""
        return _runs_text(self.runs(), max_bytes)


def parse_indexes(text: str) -> list[tuple[int, int]]:
    """Return the ranges of a text. Raise ValueError for a text that `IndexSet.text` cannot produce."""
    if not text:
        return []
    runs: list[tuple[int, int]] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        run = (int(first), int(last) if dash else int(first))
        if run[0] < 0 or run[1] < run[0] or (runs and run[0] <= runs[-1][1] + 1):
            raise ValueError(f"index ranges must ascend without touching each other: {text[:60]!r}")
        runs.append(run)
    return runs


def merged_text(runs: Iterable[tuple[int, int]], max_bytes: int = MAX_INDEXES) -> IndexText:
    """Return the text of the union of ranges (first, last) in any order."""
    merged: list[tuple[int, int]] = []
    for start, last in sorted(runs):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((start, last))
    return _runs_text(merged, max_bytes)


def _runs_text(runs: Iterable[tuple[int, int]], max_bytes: int) -> IndexText:
    parts: list[str] = []
    used = 0
    for start, last in runs:
        part = str(start) if start == last else f"{start}-{last}"
        used += len(part) + (1 if parts else 0)
        if used > max_bytes:
            return IndexText(",".join(parts), truncated=True)
        parts.append(part)
    return IndexText(",".join(parts), truncated=False)
