"""The context: values of the current thread (active flow, current task run, tags, secrets).

`context` here, and `flowkiln.context`, is the only Context of the process; `flowkiln.utilities.context` is a module.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any

from flowkiln.common.collections import DotDict, as_nested_dict
from flowkiln.common.configuration import config
from flowkiln.common.exceptions import ContextError

# Keys that are only meaningful while a flow is built; workers do not need them.
BUILDING_KEYS = frozenset({"flow", "case"})


class Context(DotDict):
    """A DotDict with separate content in each thread and asyncio task.

    A thread that sees a Context for the first time finds in it the config section `context`, overlaid by the arguments
    of the constructor. Content is replaced, never changed in place: so the end of `with context(...)` restores the
    previous content exactly, and an asyncio task cannot change the content of its parent.
    """

    def __init__(self, init: Mapping[Any, Any] | None = None, **kwargs: Any) -> None:
        initial = DotDict(as_nested_dict(config.get_nested("context", {}), DotDict))
        initial.update(init or {}, **kwargs)
        object.__setattr__(self, "_initial", initial)
        object.__setattr__(self, "_content", ContextVar[dict[Any, Any]]("flowkiln_context"))

    # DotDict keeps its items in an attribute; here they depend on the caller's thread.
    @property
    def _items(self) -> dict[Any, Any]:
        found: dict[Any, Any] | None = self.__dict__["_content"].get(None)
        if found is None:
            found = dict(as_nested_dict(self.__dict__["_initial"], DotDict))
            self.__dict__["_content"].set(found)
        return found

    def __getitem__(self, key: Any) -> Any:
        try:
            return self._items[key]
        except KeyError:
            raise ContextError(key) from None

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key, or `default`; without raising internally, since most lookups miss."""
        return self._items.get(key, default)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._check_key(key)
        self.__dict__["_content"].set({**self._items, key: value})

    def __delitem__(self, key: Any) -> None:
        if key not in self._items:
            raise ContextError(key)
        self.__dict__["_content"].set({k: v for k, v in self._items.items() if k != key})

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several keys at once: the content is replaced once, not key by key."""
        self._overlay(dict(*args, **kwargs))

    def _overlay(self, new: Mapping[Any, Any]) -> None:
        self._check_keys(new)
        self.__dict__["_content"].set({**self._items, **new})

    def __call__(
        self, mapping: Mapping[Any, Any] | None = None, /, **kwargs: Any
    ) -> AbstractContextManager[Context, None]:
        """Set keys inside a `with` block, and restore the content afterwards; yield the Context."""
        return _Overlay(self, {**(mapping or {}), **kwargs} if kwargs else mapping or {})

    def snapshot(self) -> dict[Any, Any]:
        """Return the content to send with a task, as a plain dict without the keys of flow building."""
        return {key: value for key, value in self._items.items() if key not in BUILDING_KEYS}

    def copy(self) -> DotDict:
        """Return a DotDict with the current content."""
        return DotDict(self._items)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        # A function of `__main__` is pickled with its globals: unpickled, it must use the context of its process.
        if self is context:
            return "context"
        return type(self), (dict(self._items),)


class _Overlay:
    """The block of `with context(...)`. Each task run enters one: a generator would take twice as long."""

    __slots__ = ("_before", "_context", "_values")

    def __init__(self, context: Context, values: Mapping[Any, Any]) -> None:
        self._context, self._values = context, values

    def __enter__(self) -> Context:
        self._before = self._context._items
        self._context._overlay(self._values)
        return self._context

    def __exit__(self, *_: object) -> None:
        self._context.__dict__["_content"].set(self._before)


context = Context()


def current_content() -> Mapping[Any, Any]:
    """Return the current content of the context. It never changes: a change of the context replaces it."""
    return context._items
