"""From any Python value to one that JSON can say, within a budget: a pure function that never raises.

A result may be as large, as deep and as strange as its author likes; what is printed of it is not.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any

from flowkiln.common.safe_text import encodable, safe_repr, shortened

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

MAX_ELEMENTS = 1_000
"""How many elements of lists and mappings, nested ones included, are given of one value."""
MAX_CHARACTERS = 64 * 1024
"""How many characters of text are given of one value, keys included."""
MAX_DEPTH = 32
"""How deeply lists and mappings are nested in what is given of one value."""
REPR_LIMIT = 200
"""The longest repr, in characters, that stands for what JSON cannot say."""
MAX_BITS = 1024
"""Larger integers are beyond what readers of JSON take for a number."""
MORE = "$more"
"""The key that tells how many elements were left out: at the end of a mapping, or alone in the last of a list."""


class Loss(StrEnum):
    """How what is given differs from the value."""

    REPR = "repr"
    """Something that JSON cannot say is given as its repr."""
    CUT = "cut"
    """Elements or text were left out."""
    UNAVAILABLE = "unavailable"
    """The value could not be brought to this process; in its place stands why."""


@dataclass(frozen=True, slots=True)
class JsonValue:
    """What JSON says of a value, and in which ways that is less than the value."""

    value: Json
    losses: frozenset[Loss] = frozenset()


def to_json(value: Any) -> JsonValue:
    """Return what JSON can say of a value; `json.dumps(…, allow_nan=False)` takes it.

    Tuples become lists, and numbers of numpy plain ones. Without a loss, reading the JSON gives an equal value.
    """
    writer = _Writer()
    said = writer.write(value, depth=0)
    return JsonValue(said, frozenset(writer.losses))


@dataclass
class _Writer:
    """Writes one value. `path` has the ids of the containers that are being written, to find circles."""

    elements: int = MAX_ELEMENTS
    characters: int = MAX_CHARACTERS
    losses: set[Loss] = field(default_factory=set)
    path: set[int] = field(default_factory=set)

    def write(self, value: Any, depth: int) -> Json:
        """Return what is said of the value."""
        try:
            return self._write(value, depth)
        except Exception:
            # The value's own code raised: a number that cannot be converted, a dict that changes while it is read.
            return self._repr(value)

    def _write(self, value: Any, depth: int) -> Json:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(str.__getitem__(value, slice(None)))
        if isinstance(value, numbers.Integral):
            whole = int.__int__(value) if isinstance(value, int) else int(value)
            return whole if whole.bit_length() <= MAX_BITS else self._repr_text(f"<int of {whole.bit_length()} bits>")
        if isinstance(value, numbers.Real) and not isinstance(value, numbers.Rational):
            number = float(value)
            return number if math.isfinite(number) else self._repr_text(repr(number))
        if isinstance(value, list | tuple | dict):
            if depth == MAX_DEPTH or id(value) in self.path:
                return self._repr(value)
            self.path.add(id(value))
            try:
                return self._mapping(value, depth) if isinstance(value, dict) else self._list(value, depth)
            finally:
                self.path.discard(id(value))
        return self._repr(value)

    def _list(self, value: list[Any] | tuple[Any, ...], depth: int) -> Json:
        # A subclass may have ideas of its own about what is in it.
        elements = list.copy(value) if isinstance(value, list) else tuple.__getitem__(value, slice(None))
        written: list[Json] = []
        for element in elements:
            if not self._take_element():
                written.append({MORE: len(elements) - len(written)})
                break
            written.append(self.write(element, depth + 1))
        return written

    def _mapping(self, value: dict[Any, Any], depth: int) -> Json:
        written: dict[str, Json] = {}
        for key, element in dict.items(value):
            if not self._take_element():
                written[MORE] = dict.__len__(value) - len(written)
                break
            name = self._key(key)
            if name in written:
                # Two keys are one in JSON: 1 and "1".
                return self._repr(value)
            written[name] = self.write(element, depth + 1)
        return written

    def _key(self, key: Any) -> str:
        if isinstance(key, str):
            return self._text(str.__getitem__(key, slice(None)))
        return self._repr(key)

    def _take_element(self) -> bool:
        if self.elements <= 0 or self.characters <= 0:
            self.losses.add(Loss.CUT)
            return False
        self.elements -= 1
        return True

    def _text(self, text: str) -> str:
        if len(text) > self.characters:
            self.losses.add(Loss.CUT)
            text = shortened(text, self.characters)
        self.characters -= len(text)
        escaped = encodable(text)
        if escaped != text:
            self.losses.add(Loss.REPR)
        return escaped

    def _repr(self, value: Any) -> str:
        return self._repr_text(safe_repr(_beginning(value), REPR_LIMIT))

    def _repr_text(self, text: str) -> str:
        self.losses.add(Loss.REPR)
        return self._text(text)


def _beginning(value: Any) -> Any:
    """Return as much of a large value as its repr is shown of, where its repr would be made in full."""
    kind = type(value)
    if kind not in (bytes, bytearray, list, tuple, set, frozenset, dict) or len(value) <= REPR_LIMIT:
        return value
    if kind in (bytes, bytearray, list, tuple):
        return value[:REPR_LIMIT]
    if kind in (set, frozenset):
        return kind(islice(value, REPR_LIMIT))
    return dict(islice(value.items(), REPR_LIMIT))
