import pytest

from flowkiln.common.safe_text import encodable, safe_repr, safe_str, shortened


class Mute(Exception):
    def __repr__(self) -> str:
        raise KeyboardInterrupt

    __str__ = __repr__


def _nested() -> list[object]:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, "1"),
        ("a\udce9", r"'a\udce9'"),
        (Mute(), "<Mute whose repr raises KeyboardInterrupt>"),
        (10**5000, "<int whose repr raises ValueError>"),
        (_nested(), "<list whose repr raises RecursionError>"),
    ],
    ids=["plain", "surrogate", "raising", "digits", "deep"],
)
def test_repr_never_raises(value: object, expected: str) -> None:
    """Whatever an object's own repr does, there is a text for it."""
    assert safe_repr(value) == expected


def test_str_never_raises() -> None:
    """The same for str: an exception without a text does not take its message down."""
    assert safe_str(Mute()) == "<Mute whose str raises KeyboardInterrupt>"
    assert safe_str(ValueError("no rows")) == "no rows"


def test_text_can_be_encoded_and_is_short() -> None:
    """Lone surrogates become escapes, everything else stays; a cut is shown."""
    assert encodable("caf\udce9 ü €") == "caf\\udce9 ü €"
    assert shortened("abcdef", 4) == "abc…"
    assert safe_repr("abcdef", 4) == "'ab…"
    assert shortened("abc", None) == shortened("abc", 3) == "abc"
