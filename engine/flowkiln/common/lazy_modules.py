"""Import submodules lazily as attributes of their package, to keep `import flowkiln` light."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from types import ModuleType


def lazy_submodules(package: str, names: Iterable[str]) -> tuple[Callable[[str], ModuleType], Callable[[], list[str]]]:
    """Return the module-level `__getattr__` and `__dir__` (PEP 562) of a package.

    Args:
        package: the package's dotted name, usually `__name__`.
        names: the submodules that attribute access may import.
    """
    known = frozenset(names)

    def getattribute(name: str) -> ModuleType:
        if name in known:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def directory() -> list[str]:
        return sorted({*vars(import_module(package)), *known})

    return getattribute, directory
