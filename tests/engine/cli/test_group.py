from __future__ import annotations

from importlib.metadata import EntryPoint

import click
import pytest

import flowkiln
from flowkiln.cli import group

from .builders import invoke


@click.command(short_help="Fire the kiln.")
def fire() -> None:
    """A command as another package brings it."""
    click.echo("lit")


def listed() -> str:
    """What `flowkiln --help` prints, whatever the widths of its columns."""
    shown = invoke("--help")
    assert shown.exit_code == 0
    return " ".join(shown.output.split())


class TestCommands:
    def test_own_ones(self) -> None:
        """They are listed with what they do."""
        shown = listed()
        assert "install Print the manifests that install Flowkiln" in shown
        assert "run Run a flow on this machine." in shown
        assert "lint Check Flow and FlowRun documents" in shown

    def test_version(self) -> None:
        """It is the package's."""
        assert invoke("--version").output == f"flowkiln, version {flowkiln.__version__}\n"


class TestForeignCommands:
    @pytest.fixture(autouse=True)
    def _entry_points(self, monkeypatch: pytest.MonkeyPatch) -> None:
        points = [
            EntryPoint("fire", f"{__name__}:fire", group.ENTRY_POINT_GROUP),
            EntryPoint("broken", "kiln_nowhere:command", group.ENTRY_POINT_GROUP),
        ]
        monkeypatch.setattr(group, "entry_points", lambda group: [point for point in points if point.group == group])

    def test_they_are_commands_like_others(self) -> None:
        """An entry point's command is listed and runs."""
        assert "fire Fire the kiln." in listed()
        assert invoke("fire").output == "lit\n"

    def test_a_broken_one_breaks_only_itself(self) -> None:
        """It is listed as unavailable, says why when it is called, and the others work."""
        assert "broken (unavailable: ModuleNotFoundError" in listed()
        ended = invoke("broken", "--any", "thing")
        assert ended.exit_code == 1
        assert "kiln_nowhere:command cannot be imported: ModuleNotFoundError" in ended.output

    def test_own_ones_win(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No package can take the place of `run`."""
        point = EntryPoint("run", f"{__name__}:fire", group.ENTRY_POINT_GROUP)
        monkeypatch.setattr(group, "entry_points", lambda group: [point])
        assert (
            "Usage: flowkiln run" in invoke("run", "--help").output
            or "Run the flow of FILE" in invoke("run", "--help").output
        )

    def test_unknown(self) -> None:
        """Wrong usage is exit code 2."""
        assert invoke("fier").exit_code == 2
