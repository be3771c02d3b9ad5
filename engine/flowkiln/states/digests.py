"""Digests of the type and content of values, the same in every process, to compare the inputs of cached tasks.

Two values with the same digest are interchangeable for a task, so a result for one is valid for the other. The opposite
need not hold: equal values of different types, or floats that are equal only for `==` (0.0 and -0.0), have different
digests.

`dask.tokenize` has another purpose. It is not used, because it gives the same token to different values: to text
columns that are split elsewhere (["a", "b-c"] and ["a-b", "c"]), to tables with columns of two dtypes that changed
places, to slices of one Arrow array. It does not support masked arrays.
"""

from __future__ import annotations

import copyreg
import dis
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from types import CodeType, FunctionType, ModuleType
from typing import Any

from flowkiln.states.table_parts import parts_of_table

_PLAIN = {bool, int, float, complex, str, bytes, type(None)}
_CHEAP = 16
"""Maximum length of a list of plain values that is not memoised."""


class NoDigest(ValueError):
    """The value has no digest. The message names the part without digest and the reason."""


def digest(value: Any) -> str:
    """Return the digest of a value.

    Lists, tuples, dicts (in any order), sets, arrays, tables, functions and instances of classes have one if all their
    parts have one. Classes are identified by name; the content of an object is what it passes to `pickle`.

    Raises:
        NoDigest: the value is, or contains, a lock, a connection, an iterator, `object()`, or a value that contains
            itself.
    """
    try:
        return _Walk().of(value).hex()
    except RecursionError:
        raise NoDigest(f"{type(value).__name__} is nested too deeply") from None


class _Walk:
    """One traversal of a value. A part that occurs twice is digested once; a cycle raises NoDigest."""

    def __init__(self) -> None:
        # By id, with the object, so its id is not reused.
        self._known: dict[int, tuple[Any, bytes]] = {}
        self._open: set[int] = set()

    def of(self, value: Any) -> bytes:
        kind = type(value)
        if kind in _PLAIN:
            return _hashed(kind.__name__, _plain_bytes(value))
        key = id(value)
        if key in self._known:
            return self._known[key][1]
        if key in self._open:
            raise NoDigest(f"{type(value).__name__} contains itself")
        self._open.add(key)
        try:
            parts = parts_of_table(value)
            if parts is not None:
                return self._several("table", parts)
            found = self._of_object(value)
        finally:
            self._open.discard(key)
        if not (kind in (list, tuple) and len(value) <= _CHEAP and _PLAIN.issuperset(map(type, value))):
            self._known[key] = value, found
        return found

    def _of_object(self, value: Any) -> bytes:
        kind = type(value)
        if kind is list or kind is tuple:
            return self._several(kind.__name__, value)
        if kind is dict:
            return _hashed("dict", *sorted(self._pairs(value.items())))
        if isinstance(value, set | frozenset):
            return _hashed(
                "set", self._class(kind), *sorted(map(self.of, value)), self.of(getattr(value, "__dict__", None))
            )
        if kind is memoryview:
            is_flat = value.format == "B" and value.ndim == 1 and value.c_contiguous
            content = value if is_flat else value.tobytes()
            return _hashed("memoryview", value.format.encode(), repr(value.shape).encode(), content)
        if isinstance(value, type):
            return self._class(value)
        if kind is FunctionType:
            return self._function(value)
        if kind is CodeType:
            return self._code(value)
        if kind is ModuleType:
            return _hashed("module", value.__name__.encode())
        if kind is object:
            raise NoDigest("object() has no content")
        if isinstance(value, Iterator):
            raise NoDigest(f"{type(value).__name__} can be read only once")
        if kind.__module__.startswith("dask.") and hasattr(value, "__dask_tokenize__"):
            # Dask's collections name themselves after the graph that will compute them.
            return _hashed("dask", self._class(kind), self.of(value.__dask_tokenize__()))
        return self._reduced(value)

    def _several(self, name: str, values: list[Any] | tuple[Any, ...]) -> bytes:
        if _PLAIN.issuperset(map(type, values)):
            try:
                return _hashed(name, b"plain", repr(values).encode())
            except ValueError:  # an int with more digits than Python formats
                pass
        return _hashed(name, *map(self.of, values))

    def _pairs(self, pairs: Iterable[tuple[Any, Any]]) -> list[bytes]:
        return [self.of(key) + self.of(value) for key, value in pairs]

    def _reduced(self, value: Any) -> bytes:
        """Digest the content of an object that `pickle` would store."""
        kind = type(value)
        reduce = copyreg.dispatch_table.get(kind)
        try:
            reduced: Any = reduce(value) if reduce is not None else value.__reduce_ex__(4)
        except Exception as error:
            raise NoDigest(f"{type(value).__name__} has no content that can be compared ({error})") from None
        if isinstance(reduced, str):
            return _hashed("global", str(getattr(value, "__module__", "")).encode(), reduced.encode())
        parts: tuple[Any, ...] = (*reduced, None, None, None, None)
        make, arguments, state, items, pairs, set_state = parts[:6]
        if type(state) is dict and not state:
            state = None  # some objects have an empty dict only after unpickling
        listed = b"" if items is None else self._several("items", list(items))
        paired = [] if pairs is None else self._pairs(pairs)
        if not isinstance(value, OrderedDict):
            paired.sort()
        return _hashed(
            "object",
            self._class(kind),
            self.of(make),
            self.of(arguments),
            self.of(state),
            listed,
            *paired,
            self.of(set_state),
        )

    def _class(self, cls: type) -> bytes:
        """Digest a class by its name; a local class also by the code of its methods."""
        own = _is_local(cls)
        members = sorted(vars(cls).items()) if own else []
        return _hashed(
            "class",
            _name(cls),
            *(self._class(base) for base in (cls.__bases__ if own else ())),
            *(_hashed(name, code) for name, member in members for code in self._codes(name, member)),
        )

    def _codes(self, name: str, member: Any) -> list[bytes]:
        if type(member) in _PLAIN:
            return [] if name.startswith("__") else [self.of(member)]
        functions = [getattr(member, each, None) for each in ("__func__", "fget", "fset")]
        return [self._code(each.__code__) for each in (member, *functions) if isinstance(each, FunctionType)]

    def _function(self, function: FunctionType) -> bytes:
        """Digest a function by name, code, defaults and closure; a local function also by its globals."""
        used = _global_names(function.__code__) if _is_local(function) else ()
        return _hashed(
            "function",
            _name(function),
            self._code(function.__code__),
            self.of(function.__defaults__),
            self.of(function.__kwdefaults__),
            *(self.of(_content(cell)) for cell in function.__closure__ or ()),
            *(self.of((name, function.__globals__[name])) for name in used if name in function.__globals__),
        )

    def _code(self, code: CodeType) -> bytes:
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        return _hashed("code", code.co_code, self.of(names), self.of(counts), *map(self.of, code.co_consts))


def _plain_bytes(value: Any) -> bytes:
    match value:
        case bytes():
            return value
        case str():
            return value.encode(errors="surrogatepass")
        case bool():
            return repr(value).encode()
        case int():
            return hex(value).encode()
        case _:
            return repr(value).encode()


def _hashed(name: str, *parts: bytes | memoryview) -> bytes:
    made = blake2b(name.encode(), digest_size=20)
    for part in parts:
        made.update(b"|%d|" % len(part))
        made.update(part)
    return made.digest()


def _name(named: Any) -> bytes:
    return f"{named.__module__}:{named.__qualname__}".encode()


def _is_local(named: Any) -> bool:
    """Return whether a class or function is defined in a script or function, so its name does not identify it."""
    return named.__module__ in (None, "__main__") or "<" in named.__qualname__


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return ()


def _global_names(code: CodeType) -> list[str]:
    nested = [name for each in code.co_consts if isinstance(each, CodeType) for name in _global_names(each)]
    own = [each.argval for each in dis.get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    return sorted({*own, *nested})
