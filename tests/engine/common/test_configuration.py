from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import flowkiln
from flowkiln.common.configuration import configured
from flowkiln.configuration import Config, config, load_config
from flowkiln.utilities.configuration import set_temporary_config
from flowkiln.utilities.exceptions import FlowkilnError


class TestConfig:
    def test_dotted_keys(self) -> None:
        """Levels can be read, set and made by one key."""
        c = Config()
        assert c.get_nested("a.b") is None
        assert c.get_nested("a.b", 1) == 1
        c.set_nested("a.b", 2)
        assert c.a.b == c.get_nested("a.b") == 2
        assert c.setdefault_nested("a.b", 3) == 2
        assert c.setdefault_nested("a.c", 3) == c.a.c == 3
        c.set_nested("a.b.c", 4)
        assert c.a.b.c == 4
        assert c.get_nested("a.b.c.d") is None

    def test_a_missing_setting_is_an_attribute_error(self) -> None:
        """A typo does not read as None."""
        with pytest.raises(AttributeError, match="nope"):
            config.nope  # noqa: B018

    def test_copies_are_deep_in_levels(self) -> None:
        """Changing a level of a copy leaves the original."""
        c = load_config()
        c.copy().set_nested("logging.level", "DEBUG")
        assert c.logging.level == "INFO"


class TestSources:
    def test_defaults(self) -> None:
        """What the package ships, None included."""
        c = load_config()
        assert c.flows.eager_edge_validation is False
        assert c.tasks.defaults == {"max_retries": 0, "retry_delay": None, "timeout": None, "checkpoint": False}
        assert c.engine.executor.dask == {"address": "local", "local_processes": False}
        assert c.debug is False
        assert c.logging.level == "INFO"
        assert "%(message)s" in c.logging.format
        assert c.cloud.use_local_secrets is True

    def test_later_sources_win(self, tmp_path: Path) -> None:
        """The user's file overrides the defaults key by key, the environment overrides both."""
        file = tmp_path / "config.toml"
        file.write_text('[tasks.defaults]\nmax_retries = 2\ntimeout = 30\n[mine]\nkey = "v"\n')
        c = load_config(file, {"FLOWKILN__TASKS__DEFAULTS__MAX_RETRIES": "3", "OTHER": "1", "FLOWKILN__": "x"})
        assert c.tasks.defaults == {"max_retries": 3, "retry_delay": None, "timeout": 30, "checkpoint": False}
        assert isinstance(c.tasks.defaults.timeout, int)
        assert c.mine.key == "v"

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("true", True),
            ("FALSE", False),
            ("5", 5),
            ("-5", -5),
            ("0.5", 0.5),
            ("1e3", 1000.0),
            ("text", "text"),
            ("", ""),
        ],
    )
    def test_environment_values_are_cast(self, text: str, value: Any) -> None:
        """What looks like a bool, an int or a float is one."""
        found = load_config(environment={"FLOWKILN__A__B": text}).a.b
        assert found == value
        assert type(found) is type(value)

    def test_secrets_are_kept_as_written(self) -> None:
        """A secret's name keeps its case, and its value is text also when it looks like a number."""
        c = load_config(environment={"FLOWKILN__CONTEXT__SECRETS__Api_Token": "0042"})
        assert c.context.secrets == {"Api_Token": "0042"}

    def test_a_bad_file_is_named(self, tmp_path: Path) -> None:
        """A file that is missing, or no TOML, is told by path."""
        for content in (None, "= nonsense"):
            file = tmp_path / "bad.toml"
            if content is not None:
                file.write_text(content)
            with pytest.raises(FlowkilnError, match=r"bad\.toml"):
                load_config(file)

    def test_a_process_reads_them_all(self, tmp_path: Path) -> None:
        """FLOWKILN_CONFIG names the user's file, the variables count, and secrets reach the context."""
        file = tmp_path / "config.toml"
        file.write_text("[tasks.defaults]\ntimeout = 7\n")
        source = "import flowkiln as f; print(f.Task().timeout, f.config.debug, f.client.Secret('KEY').get())"
        environment = {
            **os.environ,
            "FLOWKILN_CONFIG": str(file),
            "FLOWKILN__DEBUG": "true",
            "FLOWKILN__CONTEXT__SECRETS__KEY": "v",
        }
        done = subprocess.run(
            [sys.executable, "-c", source], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["7", "True", "v"]

    def test_the_usual_place(self, tmp_path: Path) -> None:
        """Without FLOWKILN_CONFIG the file in the user's configuration directory counts."""
        directory = tmp_path / "flowkiln"
        directory.mkdir()
        (directory / "config.toml").write_text("debug = true\n")
        environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path)}
        environment.pop("FLOWKILN_CONFIG", None)
        source = "import flowkiln; print(flowkiln.config.debug)"
        done = subprocess.run(
            [sys.executable, "-c", source], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "True"


class TestConfigured:
    def test_a_setting_names_a_class(self) -> None:
        """A dotted path is imported; what is no text is used as it is."""
        for setting in ("fractions.Fraction", Fraction):
            with set_temporary_config({"a.place": setting}):
                assert configured("a.place", "decimal.Decimal") is Fraction
        assert configured("a.place", "decimal.Decimal") is Decimal

    @pytest.mark.parametrize("path", ["no_such_module.Thing", "fractions.Nothing", "Nothing", ""])
    def test_a_path_that_names_nothing(self, path: str) -> None:
        """A warning names the setting, and the built-in class is used."""
        with (
            set_temporary_config({"a.place": path}),
            pytest.warns(UserWarning, match=f"config a.place: cannot load '{path}'"),
        ):
            assert configured("a.place", "decimal.Decimal") is Decimal


class TestSetTemporaryConfig:
    def test_sets_makes_levels_and_restores_in_place(self) -> None:
        """The config object and its sections stay the same, all settings come back, also after an error, also nested.

        Whoever changes a section meanwhile, such as a fixture, undoes it in the section that is in use.
        """
        before, identity, section = config.copy(), flowkiln.config, config.tasks.defaults

        def change() -> None:
            with set_temporary_config({"tasks.defaults.timeout": 5, "new.level.key": 1}):
                assert (config.tasks.defaults.timeout, config.new.level.key) == (5, 1)
                with set_temporary_config({"tasks.defaults.timeout": 6}):
                    config.debug = True
                assert (config.tasks.defaults.timeout, config.debug) == (5, False)
                raise KeyError

        with pytest.raises(KeyError):
            change()
        assert flowkiln.config is config is identity
        assert config.tasks.defaults is section
        assert config == before
