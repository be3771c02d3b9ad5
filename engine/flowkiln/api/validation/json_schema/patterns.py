"""Regular expressions: what one costs is known before it is compiled, and before it is matched."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic_core import SchemaError, SchemaValidator, core_schema

from flowkiln.api.validation.json_schema.steps import Steps

STATE_BYTES_PER_STEP = 32
"""How many states of an expression meet a byte of text in one step."""


@dataclass(frozen=True, slots=True)
class Size:
    """What an expression costs: `compile` in steps, `states` that each byte of a text may meet."""

    compile: int
    states: int

    def __add__(self, other: Size) -> Size:
        return Size(self.compile + other.compile, self.states + other.states)

    def __mul__(self, times: int) -> Size:
        return Size(self.compile * times, self.states * times)


_STEPS_PER_CHARACTER = 10
"""Steps to read a character of an expression."""

_NOTHING = Size(0, 0)
_CHARACTER = Size(2, 1)
_ASCII_CLASS = Size(6, 1)
_ANY = Size(32, 2)
"""A class with characters outside of ASCII, which are several bytes of UTF-8: the dot, and what `^` negates."""
_CLASSES = {"s": Size(80, 2), "d": Size(240, 3), "w": Size(1600, 4), "p": Size(1600, 4), "b": _CHARACTER}
"""Classes of Unicode, by their letter in lower case. Each is hundreds of ranges."""

_TOKEN = re.compile(
    r"""
      \\(?P<escape>[pPxuU]\{[^}]*\}|.)
    | \(\?(?P<flags>[a-zA-Z-]*)(?P<end>[:)])
    | (?P<open>\()(?:\?P?<[^>]*>)?
    | (?P<close>\))
    | (?P<class>\[\^?\]?)
    | \{\s*(?P<low>[0-9]*)\s*,?\s*(?P<high>[0-9]*)\s*\}
    | (?P<operator>[|*+?^$])
    | (?P<dot>\.)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CLASS_TOKEN = re.compile(
    r"""
      \\(?P<escape>.)
    | (?P<open>\[\^?\]?)
    | (?P<close>\])
    | (?P<wide>[\x80-\U0010ffff])
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_CASELESS = re.compile(r"\(\?[a-zA-Z]*i")
_COMPLAINT = "is no regular expression; look-around and back-references are not understood either"


class PatternError(ValueError):
    """A text is no regular expression that is understood here; says why."""


class Pattern:
    """A regular expression that is compiled."""

    __slots__ = ("_matcher", "_states")

    def __init__(self, text: str, steps: Steps) -> None:
        """Compile it; raise PatternError when it is none, TooManyStepsError when that would take too long."""
        steps.take(_STEPS_PER_CHARACTER * len(text))
        size = size_of(text)
        steps.take(size.compile)
        self._states = size.states
        try:
            self._matcher = SchemaValidator(core_schema.str_schema(pattern=text))
        except SchemaError as error:
            raise PatternError(_COMPLAINT) from error

    def matches(self, text: str, steps: Steps) -> bool:
        """Return whether it matches anywhere in the text."""
        length = len(text) if text.isascii() else 4 * len(text)
        steps.take(2 + self._states * length // STATE_BYTES_PER_STEP)
        return bool(self._matcher.isinstance_python(text))


def size_of(text: str) -> Size:
    """Return what an expression comes to at most, repetitions written out; raise PatternError for the flag x."""
    # Without regard to case a letter is a class. The flag may stand anywhere before it.
    character, in_brackets = (_ANY, _ANY) if _CASELESS.search(text) else (_CHARACTER, _ASCII_CLASS)
    groups: list[Size] = []
    here, last = _NOTHING, _NOTHING
    position = 0
    while (token := _TOKEN.match(text, position)) is not None:
        position = token.end()
        match token.lastgroup:
            case "escape":
                here, last = here + last, _CLASSES.get(token["escape"][0].lower(), character)
            case "class":
                size, position = _class_size(text, position - len(token["class"]), in_brackets)
                here, last = here + last, size
            case "end" if "x" in token["flags"]:
                raise PatternError("has the flag x, which is not understood")
            case "end" if token["end"] == ")":
                pass
            case "open" | "end":
                groups.append(here + last)
                here, last = _NOTHING, _NOTHING
            case "close":
                here, last = groups.pop() if groups else _NOTHING, here + last + _CHARACTER
            case "high":
                last *= _times(token["low"], token["high"])
            case "operator":
                here += _CHARACTER
            case "dot":
                here, last = here + last, _ANY
            case _:
                here, last = here + last, character
    return sum(groups, here + last)


def _class_size(text: str, position: int, plain: Size) -> tuple[Size, int]:
    """Return the size of the class in brackets that begins at `position`, and the position behind it."""
    size, depth = _NOTHING, 0
    while (token := _CLASS_TOKEN.match(text, position)) is not None:
        position = token.end()
        match token.lastgroup:
            case "open":
                depth += 1
                size += _ANY if "^" in token["open"] else plain
            case "close":
                depth -= 1
                if not depth:
                    break
            case "escape":
                size += _CLASSES.get(token["escape"].lower(), _NOTHING)
            case "wide":
                size += _ANY
            case _:
                pass
    return size, position


def _times(low: str, high: str) -> int:
    # Numbers of more digits are refused when they are compiled.
    return max(int(low[:9] or 0) + 1, int(high[:9] or 0))
