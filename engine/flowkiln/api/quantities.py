"""Quantities as Kubernetes writes them: `500m`, `1.5Gi`, `2e9`, 3."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Context, Decimal
from typing import Final

QUANTITY_PATTERN: Final = r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$"
"""Every quantity that Kubernetes takes, except negative ones, which no resource can have."""
MAX_LENGTH: Final = 32
"""The longest text that is read as a quantity."""

_QUANTITY = re.compile(QUANTITY_PATTERN)
_FACTORS = {
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("n", "u", "m", "", *"kMGTPE"), start=-3)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
_MAX_AMOUNT = Decimal(2**63 - 1)
_LEAST_STEP = Decimal("1e-9")
_LARGEST_EXPONENT = 100
"""Whatever its digits, a quantity of `MAX_LENGTH` characters with a larger exponent is past the bounds."""
_EXACT = Context(prec=200)


class QuantityError(ValueError):
    """A text is no quantity."""


def parse_quantity(quantity: int | str) -> Decimal:
    """Read a quantity as a number; raise QuantityError if it is none.

    As in Kubernetes, parts of a billionth are rounded up, and what exceeds 2⁶³-1 counts as that.
    """
    text = str(quantity)
    found = _QUANTITY.fullmatch(text)
    if found is None or len(text) > MAX_LENGTH:
        raise QuantityError(f"{text!r} is no quantity; write it like 500m, 2, 1.5Gi or 2e9")
    number, suffix = Decimal(found[1]), found[3] or ""
    if suffix in _FACTORS:
        amount = _EXACT.multiply(number, _FACTORS[suffix])
    else:
        exponent = max(-_LARGEST_EXPONENT, min(int(suffix[1:]), _LARGEST_EXPONENT))
        amount = number.scaleb(exponent, _EXACT)
    return min(amount, _MAX_AMOUNT).quantize(_LEAST_STEP, ROUND_UP, _EXACT)
