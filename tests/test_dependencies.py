"""The ranges of pyproject.toml, and the locks made of them: each end is what the tests run with."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

CHECKOUT = Path(__file__).parent.parent
PROJECT: Mapping[str, Any] = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
EXTRAS: Mapping[str, list[str]] = PROJECT["project"]["optional-dependencies"]
BASE: list[str] = PROJECT["project"]["dependencies"]
OURS = {"flowkiln", "flowkiln_operator"}
BY_ANOTHER = {
    "dask": "distributed, each release of which goes with one of it",
    "pydantic_core": "pydantic, each release of which goes with one of it",
    "IPython": "whoever runs the notebook that it is used in",
}
"""What may be imported without being declared, by what brings it."""


@pytest.mark.parametrize("text", sorted({*BASE, *(text for extra in EXTRAS.values() for text in extra)}))
def test_the_oldest_that_a_range_allows_is_what_the_tests_run_with(text: str) -> None:
    """A lower bound is a release, and requirements/oldest.lock has it: `make lock` brings it there."""
    requirement = Requirement(text)
    (bound,) = (Version(part.version) for part in requirement.specifier if part.operator == ">=")
    assert locked("oldest")[canonicalize_name(requirement.name)] == {bound}


@pytest.mark.parametrize("lock", ["dev", "oldest"])
def test_a_lock_is_within_the_ranges(lock: str) -> None:
    """Nobody changes a range without `make lock`."""
    development = PROJECT["dependency-groups"]["dev"]
    pinned = locked(lock)
    for text in {*BASE, *(text for extra in EXTRAS.values() for text in extra), *development}:
        requirement = Requirement(text)
        for version in pinned[canonicalize_name(requirement.name)]:
            assert version in requirement.specifier, f"{text}: {version}"


@pytest.mark.parametrize(
    ("folder", "extras"), [("engine/flowkiln", ("viz",)), ("operator/flowkiln_operator", ("operator",))]
)
def test_what_is_imported_is_declared(folder: str, extras: tuple[str, ...]) -> None:
    """Otherwise the ranges say nothing about it: it is whatever others happen to bring."""
    declared = {canonicalize_name(Requirement(text).name) for text in BASE + [t for e in extras for t in EXTRAS[e]]}
    known = packages_distributions()
    for name in sorted(set(imported(CHECKOUT / folder)) - set(sys.stdlib_module_names) - OURS - BY_ANOTHER.keys()):
        assert {canonicalize_name(one) for one in known.get(name, [name])} & declared, name


def locked(name: str) -> dict[str, set[Version]]:
    """Return the versions in a lock: several of one package where they differ between versions of Python."""
    text = (CHECKOUT / "requirements" / f"{name}.lock").read_text()
    found: dict[str, set[Version]] = {}
    for package, version in re.findall(r"^([\w.-]+)==([^ ;]+)", text, re.MULTILINE):
        found.setdefault(canonicalize_name(package), set()).add(Version(version))
    return found


def imported(folder: Path) -> Iterator[str]:
    """Yield the top names of all that the modules of a folder import."""
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Import(names):
                    yield from (alias.name.partition(".")[0] for alias in names)
                case ast.ImportFrom(module=str(module), level=0):
                    yield module.partition(".")[0]
