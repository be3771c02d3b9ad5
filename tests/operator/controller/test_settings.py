"""The operator's settings are checked before it starts."""

from __future__ import annotations

import pytest

from flowkiln_operator.controller.main import EXIT_SETTINGS, main
from flowkiln_operator.controller.settings import Settings, SettingsError


def test_settings_come_from_the_environment() -> None:
    """By their names in capitals; what is not set has its default."""
    settings = Settings.from_environment(
        {
            "FLOWKILN_RUNTIME_IMAGE": "runtime:1",
            "FLOWKILN_NAMESPACES": "a, b,",
            "FLOWKILN_LOG_LEVEL": "DEBUG",
            "FLOWKILN_RUN_CLASS": "gpu",
            "FLOWKILN_RUNTIME_IMAGE_PULL_SECRETS": "one,two",
            "HOME": "/",
        }
    )
    assert (settings.runtime_image, settings.namespaces, settings.log_level) == ("runtime:1", ("a", "b"), "DEBUG")
    assert (settings.run_class, settings.runtime_image_pull_secrets) == ("gpu", ("one", "two"))
    assert (settings.cluster_domain, settings.http_port) == ("cluster.local", 8080)


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({}, "FLOWKILN_RUNTIME_IMAGE"),
        ({"FLOWKILN_RUNTIME_IMAGE": ""}, "FLOWKILN_RUNTIME_IMAGE"),
        ({"FLOWKILN_RUNTIME_IMAGE": "r", "FLOWKILN_LOG_LEVEL": "LOUD"}, "FLOWKILN_LOG_LEVEL"),
        ({"FLOWKILN_RUNTIME_IMAGE": "r", "FLOWKILN_HTTP_PORT": "many"}, "FLOWKILN_HTTP_PORT"),
        ({"FLOWKILN_RUNTIME_IMAGE": "r", "FLOWKILN_RUN_CLASS": "a b"}, "FLOWKILN_RUN_CLASS"),
        ({"FLOWKILN_RUNTIME_IMAGE": "r", "FLOWKILN_RUN_CLASS": "x" * 64}, "FLOWKILN_RUN_CLASS"),
        ({"FLOWKILN_RUNTIME_IMAGE": "r", "FLOWKILN_RUN_CLASS": "gpu,!other"}, "FLOWKILN_RUN_CLASS"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], variable: str) -> None:
    """The message says which variable to look at."""
    with pytest.raises(SettingsError, match=variable):
        Settings.from_environment(environment)


def test_the_operator_does_not_start_with_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says why in one line and exits."""
    monkeypatch.delenv("FLOWKILN_RUNTIME_IMAGE", raising=False)
    assert main([]) == EXIT_SETTINGS
    assert capsys.readouterr().err.startswith("flowkiln-operator: FLOWKILN_RUNTIME_IMAGE")
