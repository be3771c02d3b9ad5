from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowkiln.cli.console import ResilientStream, make_console

from .builders import PROGRAM

FLOW = """
from pathlib import Path
from flowkiln import Flow, task
from flowkiln.engine import signals

@task
def first():
    return 1

@task
def second(x):
    Path({done!r}).write_text("done")
    raise signals.SKIP("nichts zu tun f\\u00fcr heute, 5 \\u20ac gespart")

with Flow("kiln") as flow:
    second(first())
"""


class Full(io.StringIO):
    """A stream on a disk that is full."""

    def write(self, text: str) -> int:
        """Take nothing."""
        raise OSError(28, "No space left on device")


@pytest.fixture
def flow_file(tmp_path: Path) -> Path:
    """A flow that writes a file and ends with words that ASCII lacks."""
    path = tmp_path / "kiln_words.py"
    path.write_text(FLOW.format(done=str(tmp_path / "done")))
    return path


def shell(command: str, flow_file: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash in which `RUN` stands for a local run of the flow; its exit code is that of the run."""
    run = f"{' '.join(PROGRAM)} run {flow_file} --executor local"
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command.replace('RUN', run)}"],
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
    )


class TestStream:
    @pytest.mark.parametrize(
        ("encoding", "text", "written"),
        [
            ("ascii", "für 5 €…", b"f?r 5 ?..."),
            ("latin-1", "für 5 €", b"f\xfcr 5 ?"),
            ("utf-8", "\udcff ü", b"? \xc3\xbc"),
        ],
    )
    def test_encodings(self, encoding: str, text: str, written: bytes) -> None:
        """What an encoding lacks is replaced, all else is written."""
        raw = io.BytesIO()
        stream = ResilientStream(io.TextIOWrapper(raw, encoding=encoding))
        stream.write(text)
        stream.flush()
        assert (raw.getvalue(), stream.error) == (written, None)

    def test_a_full_disk(self) -> None:
        """The error is kept, not raised, and nothing more is tried."""
        stream = ResilientStream(Full())
        stream.write("a")
        stream.write("b")
        stream.flush()
        assert str(stream.error) == "[Errno 28] No space left on device"

    def test_a_signal_in_the_midst_of_a_write(self) -> None:
        """What its handler writes comes after what is being written, where Python's streams raise RuntimeError."""

        class Interrupted(io.BytesIO):
            """The first write to it is interrupted by a signal."""

            def write(self, data: Any) -> int:
                """Take the data."""
                if not self.getvalue():
                    signal.raise_signal(signal.SIGUSR1)
                return super().write(data)

        raw = Interrupted()
        stream = ResilientStream(io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8"))  # type: ignore[type-var]

        def handle(number: int, frame: object) -> None:
            stream.write("told by the handler\n")
            stream.flush()

        before = signal.signal(signal.SIGUSR1, handle)
        try:
            stream.write("a line\n")
            stream.flush()
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert raw.getvalue() == b"a line\ntold by the handler\n"

    def test_a_closed_stream(self) -> None:
        """It takes nothing, and that is no error."""
        closed = io.StringIO()
        closed.close()
        ResilientStream(closed).write("a")


class TestSizes:
    @pytest.mark.parametrize(("columns", "width"), [("0", 80), ("1", 20), ("60", 60), ("", 80), ("wide", 80)])
    def test_widths(self, monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
        """A width on which nothing can be shown is not taken."""
        monkeypatch.setenv("COLUMNS", columns)
        assert make_console(ResilientStream(sys.stderr)).width == width


class TestRuns:
    @pytest.mark.parametrize(
        "command",
        [
            "RUN 2>/dev/full",
            "RUN >/dev/full",
            "RUN >/dev/full 2>/dev/full",
            "RUN --json >/dev/full",
            "RUN 2>&1 | head -1",
            "RUN 2> >(head -1 >/dev/null)",
            "RUN --json | true",
            "RUN >&- 2>&-",
        ],
    )
    def test_output_that_goes_nowhere(self, flow_file: Path, command: str) -> None:
        """Progress and outcome may be lost; the work is done, and the exit code is the run's."""
        ended = shell(command, flow_file)
        assert (ended.returncode, flow_file.with_name("done").is_file()) == (0, True), ended.stderr
        assert b"Traceback" not in ended.stderr + ended.stdout
        assert b"Exception ignored" not in ended.stderr

    def test_an_outcome_that_cannot_be_written(self, flow_file: Path) -> None:
        """It is said on standard error, where somebody may see it."""
        assert (
            b"could not be written to standard output: [Errno 28]" in shell("RUN --json >/dev/full", flow_file).stderr
        )

    @pytest.mark.parametrize(
        "environment",
        [
            {"PYTHONIOENCODING": "ascii"},
            {"PYTHONIOENCODING": "latin-1"},
            {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
            {"COLUMNS": "0"},
            {"COLUMNS": "1"},
            {"COLUMNS": "40", "LINES": "0"},
            {"TERM": "dumb"},
            {"NO_COLOR": "1"},
        ],
    )
    def test_surroundings(self, flow_file: Path, environment: dict[str, str]) -> None:
        """Whatever encoding and size there are, the outcome is printed."""
        ended = shell("RUN", flow_file, **environment)
        assert ended.returncode == 0, ended.stderr
        assert b"Traceback" not in ended.stderr
        assert ended.stdout.splitlines()[-1].startswith(b"kiln: Success")
