"""Quantities of Kubernetes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils import parse_quantity as parse_as_the_client
from pydantic import TypeAdapter, ValidationError

from flowkiln.api.model import Quantity
from flowkiln.api.quantities import QuantityError, parse_quantity

FIELD: TypeAdapter[int | str] = TypeAdapter(Quantity)

DIGITS = st.text("0123456789", min_size=1, max_size=6)
NUMBERS = st.one_of(DIGITS, st.builds("{}.{}".format, DIGITS, st.one_of(st.just(""), DIGITS)), DIGITS.map(".{}".format))
SUFFIXES = st.one_of(
    st.sampled_from(["", *"numkMGTPE", *(f"{letter}i" for letter in "KMGTPE")]),
    st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 12)),
)
QUANTITIES = st.builds("{}{}{}".format, st.sampled_from(["", "+"]), NUMBERS, SUFFIXES)


@given(QUANTITIES)
def test_reads_what_the_kubernetes_client_reads(text: str) -> None:
    """Every form of a quantity is a legal field, and is the number that Kubernetes' own client takes it for."""
    FIELD.validate_python(text)
    expected = parse_as_the_client(text)
    step = Decimal("1e-9")
    assert 0 <= parse_quantity(text) - min(expected, Decimal(2**63 - 1)) < step


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        (3, "3"),
        ("1.5Gi", "1610612736"),
        ("500m", "0.5"),
        ("1E", "1e18"),
        ("1E3", "1000"),
        ("0.1n", "1e-9"),
        ("1.0000000001", "1.000000001"),
        ("9223372036854775808", "9223372036854775807"),
        ("16Ei", "9223372036854775807"),
        ("1e999999999999999999", "9223372036854775807"),
        ("1e-999999999999999999", "1e-9"),
        ("0e999999999999999999", "0"),
    ],
)
def test_large_and_precise_quantities_are_bounded_as_in_kubernetes(text: int | str, amount: str) -> None:
    """Parts of a billionth are rounded up, and nothing is larger than a signed 64-bit integer."""
    assert parse_quantity(text) == Decimal(amount)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "Gi",
        "-1",
        "1.5.2",
        "1GI",
        "1gi",
        "1K",
        "2Gb",
        "1 Gi",
        "1Gi\n",
        "1e",
        "1e1.5",
        "1e3k",
        "\u0661",
        "1" * 33,
    ],
)
def test_refuses_what_is_no_quantity(text: str) -> None:
    """The field and the parser refuse the same, and the parser says how to write a quantity."""
    with pytest.raises(ValidationError):
        FIELD.validate_python(text)
    with pytest.raises(QuantityError, match="write it like 500m"):
        parse_quantity(text)
