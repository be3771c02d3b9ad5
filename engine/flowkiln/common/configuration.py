"""Settings: packaged defaults, the user's TOML file, environment variables; later sources win.

`config` here, and `flowkiln.config`, is the only Config of the process. Values are read when they are used, so changes
take effect at once. The user's file is `$FLOWKILN_CONFIG`, or else `config.toml` in the user's configuration directory
of the platform (`~/.config/flowkiln` on Linux).
"""

from __future__ import annotations

import importlib
import os
import tomllib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from flowkiln.common.collections import DotDict, as_nested_dict, merge_dicts
from flowkiln.common.exceptions import FlowkilnError

ENVIRONMENT_PREFIX = "FLOWKILN__"
USER_FILE_VARIABLE = "FLOWKILN_CONFIG"

# TOML has no null, so settings that are None by default are not in config.toml.
_NONE_BY_DEFAULT = ("tasks.defaults.retry_delay", "tasks.defaults.timeout")


class Config(DotDict):
    """A DotDict of settings whose levels can be addressed by dotted keys."""

    def get_nested(self, key: str, default: Any = None) -> Any:
        """Return the value under a dotted key, or `default` if any level is missing."""
        level: Any = self
        for part in key.split("."):
            if not isinstance(level, Mapping) or part not in level:
                return default
            level = level[part]
        return level

    def set_nested(self, key: str, value: Any) -> None:
        """Set the value under a dotted key; missing levels are created."""
        *sections, last = key.split(".")
        level: Any = self
        for part in sections:
            if not isinstance(level.get(part), DotDict):
                level[part] = Config()
            level = level[part]
        level[last] = value

    def setdefault_nested(self, key: str, value: Any) -> Any:
        """Set the value under a dotted key unless there is one; return the current value."""
        missing = object()
        found = self.get_nested(key, missing)
        if found is not missing:
            return found
        self.set_nested(key, value)
        return value

    def copy(self) -> Config:
        """Return a copy whose nested levels are copies too."""
        copied: Config = as_nested_dict(self, Config)
        return copied


def load_config(user_file: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """Return the settings of all sources.

    Args:
        user_file: a TOML file, or None.
        environment: environment variables; those named `FLOWKILN__SECTION__KEY` count.

    Raises:
        FlowkilnError: a file is missing or not TOML.
    """
    loaded: Config = as_nested_dict(_read_toml(Path(__file__).with_name("config.toml")), Config)
    for key in _NONE_BY_DEFAULT:
        loaded.setdefault_nested(key, None)
    if user_file is not None:
        loaded = merge_dicts(loaded, as_nested_dict(_read_toml(user_file), Config))
    for key, value in _environment_settings(environment or {}):
        loaded.set_nested(key, value)
    return loaded


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FlowkilnError(f"The configuration file {path} cannot be read: {error}") from error


def _environment_settings(environment: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for name, text in sorted(environment.items()):
        path = name.removeprefix(ENVIRONMENT_PREFIX)
        if path == name or not path:
            continue
        sections = path.lower().split("__")
        if sections[:2] == ["context", "secrets"]:
            # A secret keeps its text and the case of its name: "0042" is not a number.
            yield ".".join([*sections[:2], *path.split("__")[2:]]), text
        else:
            yield ".".join(sections), _cast(text)


def _cast(text: str) -> bool | int | float | str:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _user_file(environment: Mapping[str, str]) -> Path | None:
    named = environment.get(USER_FILE_VARIABLE)
    if named:
        return Path(named).expanduser()
    usual = platformdirs.user_config_path("flowkiln") / "config.toml"
    return usual if usual.is_file() else None


config = load_config(_user_file(os.environ), os.environ)


def configured(key: str, built_in: str) -> Any:
    """Return the class or function that a setting names by its dotted path; other settings are returned unchanged.

    So a package can use a higher layer without importing it. If the import fails, log a warning and use `built_in`.
    """
    path = config.get_nested(key, built_in)
    if not isinstance(path, str):
        return path
    try:
        return _imported(path)
    except (ImportError, AttributeError, ValueError) as error:
        warnings.warn(f"config {key}: cannot load {path!r} ({error}); using {built_in}.", stacklevel=3)
        return _imported(built_in)


def _imported(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)
