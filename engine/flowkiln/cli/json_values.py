"""Convert any Python value into JSON, within a budget.

Never raises. Results may be of any size, depth and type; the printed value is bounded.
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
"""Maximum number of elements of lists and mappings, nested ones included, in one value."""
MAX_CHARACTERS = 64 * 1024
"""Maximum number of characters in one value, keys included."""
MAX_DEPTH = 32
"""Maximum nesting of lists and mappings in one value."""
REPR_LIMIT = 200
"""Maximum length, in characters, of the repr of a value that JSON cannot represent."""
MAX_BITS = 1024
"""Maximum size of an integer that JSON readers accept as a number."""
MORE = "$more"
"""The key with the number of omitted elements: the last of a mapping, or alone in the last element of a list."""


class Loss(StrEnum):
    """How the JSON differs from the value."""

    REPR = "repr"
    """A part that JSON cannot represent is shown as its repr."""
    CUT = "cut"
    """Elements or text were omitted."""
    UNAVAILABLE = "unavailable"
    """The value could not be sent to this process; its place has the reason."""


@dataclass(frozen=True, slots=True)
class JsonValue:
    """The JSON of a value, and how it differs from the value."""

    value: Json
    losses: frozenset[Loss] = frozenset()


def to_json(value: Any) -> JsonValue:
    """Return the JSON of a value; `json.dumps(…, allow_nan=False)` accepts it.

    Tuples become lists, and numbers of numpy plain ones. Without a loss, parsing the JSON returns an equal value.
    """
    writer = _Writer()
    said = writer.write(value, depth=0)
    return JsonValue(said, frozenset(writer.losses))


@dataclass
class _Writer:
    """Convert one value. `path` has the ids of the open containers, to detect cycles."""

    elements: int = MAX_ELEMENTS
    characters: int = MAX_CHARACTERS
    losses: set[Loss] = field(default_factory=set)
    path: set[int] = field(default_factory=set)

    def write(self, value: Any, depth: int) -> Json:
        """Return the JSON of the value."""
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
        # A subclass may override access to its elements.
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
    """Return the part of a large value that its repr can show, to avoid the repr of the whole value."""
    kind = type(value)
    if kind not in (bytes, bytearray, list, tuple, set, frozenset, dict) or len(value) <= REPR_LIMIT:
        return value
    if kind in (bytes, bytearray, list, tuple):
        return value[:REPR_LIMIT]
    if kind in (set, frozenset):
        return kind(islice(value, REPR_LIMIT))
    return dict(islice(value.items(), REPR_LIMIT))
