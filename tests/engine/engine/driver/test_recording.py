"""Runs that are recorded and replayed: the same events lead to the same instructions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from flowkiln import Flow, task, unmapped
from flowkiln.common.configuration import config
from flowkiln.common.exceptions import SerializationError
from flowkiln.engine.driver import InitialState, StartRequested
from flowkiln.engine.driver.encoding import decode, encode
from flowkiln.engine.driver.recording import FORMAT, RecordingDriver, digest_of, read_recording
from flowkiln.engine.driver.replay import main
from flowkiln.engine.executors import Executor
from flowkiln.states.state import Failed, Mapped, Paused, Retrying, State, Success

from ..graphs import Shape, build, shapes
from .simulation import Simulation, Weather
from .test_driver_properties import randoms, thoroughly

WEATHER = Weather(cuts=0.2, shorter=0.1, harmless=0.2, charged=0.2, gates=0.1)


@thoroughly
@given(nodes=shapes(), random=randoms, fuse=st.booleans(), keep_results=st.booleans())
def test_recorded_runs_of_random_flows_replay_to_the_same_instructions(
    nodes: tuple[Shape, ...], random: Random, fuse: bool, keep_results: bool
) -> None:
    """From the events themselves, and from the file, whatever is lost on the way."""
    file = StringIO()
    simulation = Simulation(
        build(nodes)[0],
        random,
        weather=WEATHER,
        fuse=fuse,
        keep_results=keep_results,
        driver_class=partial(RecordingDriver, file),
    )
    simulation.run()
    assert list(map(encode, simulation.driver.replay(simulation.events))) == simulation.instructions
    file.seek(0)
    recording = read_recording(file)
    driver = recording.driver()
    assert len(recording.steps) == len(simulation.events)
    for step in recording.steps:
        assert digest_of(driver.handle(step.event)) == step.digest


class QualityFailed(Failed):
    """A state of a flow's own."""


@pytest.mark.parametrize(
    "state",
    [
        Success("private", result="private"),
        Retrying("private", run_count=1),
        QualityFailed("private", result=ValueError("private")),
        Mapped("private", map_states=[Success(result="private"), None, Paused("private")]),
    ],
)
def test_of_a_state_nothing_is_written_but_what_the_driver_looks_at(state: State) -> None:
    """Its kind, the name of its own class, its start time, its children; it is read without running any code."""
    text = json.dumps(encode(InitialState(state, 3, (1, 2))))
    assert "private" not in text
    read: Any = decode(json.loads(text))
    assert type(read.state).__name__ == type(state).__name__
    assert isinstance(read.state, type(state).__mro__[1])
    assert json.dumps(encode(read)) == text


@task
def numbers() -> list[int]:
    """Make the elements."""
    return list(range(40))


@task
def secret(x: int) -> str:
    """Compute what nobody else is to know; one fails and tells it."""
    if x == 3:
        raise ValueError(f"password-{x}")
    return f"password-{x}"


@task(trigger=lambda states: True)
def use(x: int, secrets: list[str]) -> int:
    """Use all secrets."""
    return x + len(secrets)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder in which runs are recorded."""
    monkeypatch.setitem(config.engine.driver, "record", str(tmp_path / "recordings"))
    return tmp_path / "recordings"


def replay(file: Path, *options: str) -> tuple[int, str]:
    """Run the program that replays a file."""
    result = CliRunner().invoke(main, [str(file), *options])
    return result.exit_code, result.output


def test_a_real_run_is_recorded_and_replayed(any_executor: Executor, folder: Path) -> None:
    """On each executor; neither results nor messages are in the file."""
    with Flow("recorded") as flow:
        elements = numbers()
        use.map(elements, unmapped(secret.map(elements)))
    flow.run(executor=any_executor)
    (file,) = folder.iterdir()
    assert "password" not in file.read_text()
    code, output = replay(file)
    assert code == 0, output
    assert output.splitlines()[-1] == "All events lead to the recorded instructions."


class TestReplay:
    """What the program says of a file."""

    @pytest.fixture
    def file(self, folder: Path) -> Path:
        """A recording of a small run."""
        with Flow("small") as flow:
            secret(1)
        flow.run()
        (file,) = folder.iterdir()
        return file

    def test_every_event_is_shown_on_request(self, file: Path) -> None:
        """With the instructions that it leads to."""
        code, output = replay(file, "--verbose")
        assert code == 0
        assert "event 1: Started(" in output
        assert "  SubmitUnits(" in output

    def test_a_file_that_was_cut_off_is_replayed_as_far_as_it_goes(self, file: Path) -> None:
        """As is that of a run whose driver failed: the last event is in it, without instructions."""
        first, *_, last = file.read_text().splitlines(keepends=True)
        file.write_text(file.read_text().removesuffix(last) + last[:10])
        assert replay(file)[0] == 0
        file.write_text(first)
        assert "0 events" in replay(file)[1]

    def test_other_instructions_are_told(self, file: Path) -> None:
        """With the event after which they differ."""
        file.write_text(file.read_text().replace('"repeats":true', '"repeats":false'))
        code, output = replay(file)
        assert code == 1
        assert "Event 1, Started, leads to other instructions than when it was recorded: [SubmitUnits]" in output

    def test_a_driver_that_fails_is_told(self, file: Path) -> None:
        """With what led there."""
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join([*lines[:3], lines[1]]))
        code, output = replay(file)
        assert code == 1
        assert "Event 2, Started: The run cannot move from RUNNING to RUNNING." in output
        assert "Last events:" in output

    @pytest.mark.parametrize("text", ["", "nonsense\n", "{}\n", json.dumps({"format": FORMAT, "version": 2}) + "\n"])
    def test_a_file_that_is_no_recording_is_refused(self, tmp_path: Path, text: str) -> None:
        """In one sentence."""
        file = tmp_path / "other.jsonl"
        file.write_text(text)
        code, output = replay(file)
        assert code == 1
        assert "The file is no recording" in output


def test_what_is_no_value_of_a_drivers_is_not_written_or_read() -> None:
    """Neither an object of a user's nor an unknown class."""
    with pytest.raises(TypeError, match="no values of type object"):
        encode(object())
    with pytest.raises(ValueError, match="'Popen' is no type"):
        decode({"type": "Popen", "args": ["true"]})
    with pytest.raises(ValueError, match="StartRequested"):
        decode({"type": "StartRequested", "unknown": 1})
    assert decode(encode(StartRequested("a"))) == StartRequested("a")
    with pytest.raises(SerializationError):
        read_recording(iter(["[1]\n"]))
