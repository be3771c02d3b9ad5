"""Values that tasks map over, and their elements by position, from 0.

Arrays and tables are recognised by attributes of their classes, so their libraries are not imported. docs/mapping.md
has the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from operator import index
from typing import Any

MAX_PROBED_LENGTH = 10_000_000
"""Maximum number of elements to count by indexing, for a value without a length."""


class NoElements(TypeError):
    """The value has no elements by position. The message is a clause that follows the value's name."""


def element_count(value: Any) -> int | None:
    """Return the number of elements that a value maps over; None if it has none by position."""
    try:
        return counted(value)
    except NoElements:
        return None


def counted(value: Any) -> int:
    """Return the number of elements that a value maps over.

    Raises:
        NoElements: it has none by position.
    """
    kind = type(value)
    if kind is list or kind is tuple:
        return len(value)
    reason = _unmappable_reason(value)
    if reason is not None:
        raise NoElements(f"is of type {type(value).__name__}, {reason}")
    count = _length(value)
    if count:
        try:
            element(value, 0)
        except Exception as error:
            raise NoElements(
                f"is of type {type(value).__name__}, which has no elements by index (its first raises "
                f"{type(error).__name__})"
            ) from error
    return count


def element(value: Any, position: int) -> Any:
    """Return the element at a position: for a Series the one that `iloc` gives, whatever the labels are."""
    kind = type(value)
    return value.iloc[position] if kind is not list and hasattr(kind, "iloc") else value[position]


def elements(value: Any) -> Sequence[Any]:
    """Return all elements in order.

    Raises:
        NoElements: it has none by position.
    """
    count = counted(value)
    return value if type(value) in (list, tuple) else [element(value, position) for position in range(count)]


def _length(value: Any) -> int:
    kind = type(value)
    if isinstance(value, Sequence):
        try:
            return len(value)
        except Exception as error:
            raise NoElements(
                f"is of type {type(value).__name__}, whose length raises {type(error).__name__}"
            ) from error
    if shape := _shape(value):
        return index(shape[0])
    if hasattr(kind, "__len__"):
        with suppress(Exception):  # then it is read like a value without a length
            return len(value)
    for count in range(MAX_PROBED_LENGTH):
        try:
            value[count]
        except IndexError:
            return count
        except Exception as error:
            raise NoElements(
                f"is of type {type(value).__name__}, which has no elements by index (element {count} raises "
                f"{type(error).__name__})"
            ) from error
    raise NoElements(
        f"is of type {type(value).__name__}, which has more than {MAX_PROBED_LENGTH} elements; map over a list"
    )


def _shape(value: Any) -> tuple[Any, ...] | None:
    """Return the shape of an array or table; None for anything else."""
    try:
        shape = value.shape
    except Exception:
        return None
    return shape if isinstance(shape, tuple) else None


def _unmappable_reason(value: Any) -> str | None:
    """Return why a value has no elements by position, and what to map over instead; None if it may have some."""
    kind, library = type(value), type(value).__module__.partition(".")[0]
    if isinstance(value, type):
        return "a class; map over a list"
    if isinstance(value, Sequence):
        return None
    shape = _shape(value)
    if library in ("dask", "dask_expr") and not (shape and hasattr(kind, "chunks")):
        return "which Dask has not computed yet; map over what `x.compute()` gives"
    if library == "polars" and hasattr(kind, "collect"):
        return "which is not computed yet; map over its rows, `x.collect().to_dicts()`"
    if hasattr(kind, "columns") and (shape is not None or hasattr(kind, "__dataframe__")):
        return f"a table of {library} with rows and columns; map over {_ROWS.get(library, _ROWS['pandas'])}"
    if library == "xarray" and isinstance(value, Mapping):
        return 'a set of arrays; map over parts of it, such as `[x.isel(time=i) for i in range(x.sizes["time"])]`'
    if shape is not None and not (shape and hasattr(shape[0], "__index__")):
        return _unsized_reason(value, shape)
    if library == "pandas" and shape is None and hasattr(kind, "__getitem__"):
        return "which has no elements by index; for groups, map over `[group for _, group in x]`"
    if isinstance(value, Mapping) or (shape is None and hasattr(kind, "keys")):
        return "whose elements have keys and no positions; map over `list(x)`, `list(x.values())` or `list(x.items())`"
    if isinstance(value, set | frozenset):
        return "which has no order; map over `sorted(x)`"
    if not hasattr(kind, "__getitem__"):
        return "which has no elements by index" + ("; map over `list(x)`" if isinstance(value, Iterable) else "")
    return None


_ROWS = {
    "pandas": 'its rows, `x.to_dict("records")` or `list(x.itertuples())`, or its columns, `[x[name] for name in x]`',
    "polars": "its rows, `x.to_dicts()` or `x.rows()`, or its columns, `x.get_columns()`",
    "pyarrow": "its rows, `x.to_pylist()`, or its columns, `x.columns`",
}
"""What to write instead of a table, by its library; most have the methods of pandas."""


def _unsized_reason(value: Any, shape: tuple[Any, ...]) -> str | None:
    if shape:
        return f"an array of unknown length ({shape[0]!r})"
    try:
        len(value)
    except Exception:
        return "which has no dimensions and so no elements; map over `[x.item()]`"
    return None
