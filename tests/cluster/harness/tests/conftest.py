"""Stand-ins for docker, kind and kubectl, as far as the way by kind can be followed without a Docker engine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = """#!/bin/sh
name=$(basename "$0")
echo "$name $*" >> "{record}"
case "$name $*" in
{answers}
esac
exit 0
"""
USUAL = {
    "docker image inspect --format={{.Id}} mine:latest": "echo sha256:0123456789abcdef0123",
    "docker image inspect mine:latest": "",
    "docker image inspect flowkiln-under-test:0123456789abcdef": "",
    "docker image inspect *": "exit 1",
    "kubectl * get --raw=/version": """echo '{"major": "1", "minor": "34", "gitVersion": "v1.34.0"}'""",
}
"""What a command is answered, in shell; a star stands for anything."""
SETTINGS = (
    "FLOWKILN_KIND_NODE_IMAGE",
    "FLOWKILN_KIND_CONFIG",
    "FLOWKILN_TEST_IMAGE",
    "FLOWKILN_TEST_RUNTIME_IMAGE",
)
NAMES = ("docker", "kind", "kubectl")


@dataclass(frozen=True)
class StandIns:
    """Programs in front of the PATH that write down what they are asked."""

    folder: Path
    record: Path

    def answer(self, answers: dict[str, str]) -> None:
        """Return answers that go before the usual ones; the first that fits is taken."""
        known = answers | {command: script for command, script in USUAL.items() if command not in answers}
        cases = [f"  {_pattern(command)}) {script or ':'} ;;" for command, script in known.items()]
        for name in NAMES:
            program = self.folder / name
            program.write_text(PROGRAM.format(record=self.record, answers="\n".join(cases)))
            program.chmod(0o755)

    def asked(self, name: str) -> list[str]:
        """Return what one of them was asked so far."""
        lines = self.record.read_text().splitlines()
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{name} ")]


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    """Put the stand-ins in front of the PATH; no setting of this host's is in force."""
    folder = tmp_path / "bin"
    folder.mkdir()
    made = StandIns(folder, tmp_path / "record")
    made.record.touch()
    made.answer({})
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FLOWKILN_CACHE", str(tmp_path / "cache"))
    for setting in SETTINGS:
        monkeypatch.delenv(setting, raising=False)
    return made


def _pattern(command: str) -> str:
    """Return a command as a pattern of the shell's, in which only stars are special."""
    return "*".join(f'"{part}"' if part else "" for part in command.split("*"))
