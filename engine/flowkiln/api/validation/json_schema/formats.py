"""The formats of text that are checked; others mean nothing."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from types import MappingProxyType

LONGEST = 254
"""Characters of the longest text that a format can have: an e-mail address."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def has_format(text: str, name: str) -> bool:
    """Return whether a text has a format; any text has a format that is not known."""
    check = _CHECKS.get(name)
    if check is None:
        return True
    try:
        return len(text) <= LONGEST and check(text)
    except ValueError:
        return False


def _is_date(text: str) -> bool:
    return _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))


def _is_date_time(text: str) -> bool:
    return datetime.fromisoformat(text).tzinfo is not None


def _is_ipv4(text: str) -> bool:
    return bool(ipaddress.IPv4Address(text))


def _is_ipv6(text: str) -> bool:
    return ipaddress.IPv6Address(text).scope_id is None


_CHECKS: Mapping[str, Callable[[str], bool]] = MappingProxyType(
    {
        "date": _is_date,
        "date-time": _is_date_time,
        "email": lambda text: "@" in text,
        "ipv4": _is_ipv4,
        "ipv6": _is_ipv6,
        "uuid": lambda text: _UUID.fullmatch(text) is not None,
    }
)
