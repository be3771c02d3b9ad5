"""Split NumPy arrays and pandas tables into simpler values that can be compared one by one.

Derived or undefined parts are omitted: memory order, values under a mask, the bits of a NaN, the layout of columns.
Neither library is imported: if it is not imported yet, no value has its types.
"""

from __future__ import annotations

import sys
from typing import Any

Parts = tuple[Any, ...]


def parts_of_table(value: Any) -> Parts | None:
    """Return the parts of an array, a table, or a number of NumPy; None for any other value."""
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
        return _array(numpy, value)
    if pandas is None or not hasattr(pandas, "api"):
        return None
    if isinstance(value, pandas.DataFrame):
        columns = tuple(value.iloc[:, position].array for position in range(value.shape[1]))
        return type(value), value.columns, value.index, columns, value.attrs, _own_attributes(value)
    if isinstance(value, pandas.Series):
        return type(value), value.name, value.index, value.array, value.attrs, _own_attributes(value)
    if isinstance(value, pandas.Index):
        return _index(pandas, value)
    if isinstance(value, pandas.api.extensions.ExtensionArray):
        return _extension_array(pandas, value)
    return None


def _own_attributes(value: Any) -> Parts:
    """Return the attributes that a subclass of a table declares as its content."""
    return tuple((name, getattr(value, name, None)) for name in value._metadata if name != "_name")


def _index(pandas: Any, index: Any) -> Parts:
    if isinstance(index, pandas.MultiIndex):
        return type(index), tuple(index.get_level_values(level) for level in range(index.nlevels))
    if isinstance(index, pandas.RangeIndex):
        return type(index), index.name, index.start, index.stop, index.step
    return type(index), index.name, index.array, getattr(index, "freqstr", None)


def _extension_array(pandas: Any, array: Any) -> Parts:
    kind, dtype = type(array), repr(array.dtype)
    if isinstance(array, pandas.Categorical):
        return kind, array.codes, array.categories, array.ordered
    if isinstance(array, pandas.arrays.IntervalArray):
        return kind, array.left, array.right, array.closed
    if isinstance(array, pandas.arrays.SparseArray):
        return kind, dtype, array.to_dense()
    if hasattr(array, "asi8"):
        return kind, dtype, array.asi8
    if isinstance(array, pandas.arrays.NumpyExtensionArray):
        return kind, array.to_numpy()
    missing = array.isna()
    return kind, dtype, missing, array[~missing].to_numpy()


def _array(numpy: Any, value: Any) -> Parts:
    kind, array = type(value), value
    if isinstance(value, numpy.generic):
        array = numpy.asarray(value)
    dtype, shape = repr(array.dtype), array.shape
    own = None if kind.__module__.partition(".")[0] == "numpy" else getattr(value, "__dict__", None)
    if array.dtype.names is not None:
        return kind, dtype, shape, own, tuple(array[name] for name in array.dtype.names)
    if isinstance(array, numpy.ma.MaskedArray):
        mask = numpy.ma.getmaskarray(array)
        return kind, dtype, shape, own, mask, numpy.asarray(array.compressed()), array.fill_value
    # A flat copy only if the array is not contiguous.
    flat = numpy.ascontiguousarray(numpy.asarray(array)).reshape(-1)
    return kind, dtype, shape, own, _flat_content(numpy, flat)


def _flat_content(numpy: Any, flat: Any) -> Any:
    kind, size = flat.dtype.kind, flat.dtype.itemsize
    if kind not in "biufcmMSUV":
        return flat.tolist()
    if kind in "fc":
        if size not in (2, 4, 8) and (kind, size) != ("c", 16):
            return list(map(repr, flat))  # long doubles: some of their bytes mean nothing
        flat = flat.view(flat.real.dtype)
        if numpy.isnan(flat).any():
            flat = numpy.where(numpy.isnan(flat), flat.dtype.type("nan"), flat)
    return memoryview(flat.view("u1")) if flat.nbytes else b""
