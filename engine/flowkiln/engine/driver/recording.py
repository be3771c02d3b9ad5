"""Record the inputs and events of a driver in a file, and read and replay such a file.

The file has one JSON object per line: first the driver's inputs, then each event, followed by the kinds of its
instructions with a digest. encoding.py says what is omitted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from flowkiln._version import __version__
from flowkiln.common.exceptions import SerializationError
from flowkiln.engine.driver.driver import Driver
from flowkiln.engine.driver.encoding import decode, encode
from flowkiln.engine.driver.events import Event, InitialState
from flowkiln.engine.driver.fusion import UnitPolicy
from flowkiln.engine.driver.graph import RunGraph
from flowkiln.engine.driver.instructions import Instruction

FORMAT = "flowkiln driver recording"
FORMAT_VERSION = 1


class RecordingDriver(Driver):
    """A driver that records its inputs and events. Each event is written before it is handled."""

    def __init__(
        self,
        file: TextIO,
        graph: RunGraph,
        run_id: str,
        *,
        given: Mapping[int, InitialState] | None = None,
        policy: UnitPolicy | None = None,
        repeats: bool = True,
        kept: Collection[int] | None = None,
        validates: bool = False,
    ) -> None:
        super().__init__(graph, run_id, given=given, policy=policy, repeats=repeats, kept=kept, validates=validates)
        self._file = file
        self._write(
            {
                "format": FORMAT,
                "version": FORMAT_VERSION,
                "flowkiln": __version__,
                "run_id": run_id,
                "graph": encode(graph),
                "given": [[number, encode(one)] for number, one in (given or {}).items()],
                "policy": encode(policy or UnitPolicy()),
                "repeats": repeats,
                "kept": None if kept is None else sorted(kept),
            }
        )

    def handle(self, event: Event) -> list[Instruction]:
        """Handle one event, and write it and its instructions."""
        self._write({"event": encode(event)})
        instructions = super().handle(event)
        self._write({"instructions": kinds_of(instructions), "digest": digest_of(instructions)})
        return instructions

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._file.flush()


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """One event of a recording and its instructions; None if the driver failed before."""

    event: Event
    kinds: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording: the inputs of the driver and its events."""

    flowkiln: str
    arguments: Mapping[str, Any]
    steps: Sequence[RecordedStep]

    def driver(self) -> Driver:
        """Return a new driver with the same inputs, which validates itself."""
        return Driver(**self.arguments, validates=True)


def read_recording(lines: Iterator[str]) -> Recording:
    """Read the lines of a recording. The last one may be cut off.

    Raises:
        SerializationError: they are not a recording, or one of another version.
    """
    try:
        first = json.loads(next(lines, ""))
        if (first["format"], first["version"]) != (FORMAT, FORMAT_VERSION):
            raise SerializationError(f"The file is no recording of version {FORMAT_VERSION} of a flow run.")
        arguments = {
            "graph": decode(first["graph"]),
            "run_id": first["run_id"],
            "given": {number: decode(one) for number, one in first["given"]},
            "policy": decode(first["policy"]),
            "repeats": first["repeats"],
            "kept": first["kept"],
        }
        return Recording(first["flowkiln"], arguments, tuple(_steps(lines)))
    except (ValueError, TypeError, KeyError) as error:
        raise SerializationError(f"The file is no recording of a flow run: {error!r}") from error


def _steps(lines: Iterator[str]) -> Iterator[RecordedStep]:
    event: Event | None = None
    for line in lines:
        if not line.endswith("\n"):
            break
        value = json.loads(line)
        if "event" in value:
            if event is not None:
                yield RecordedStep(event, None, None)
            event = decode(value["event"])
        elif event is not None:
            yield RecordedStep(event, value["instructions"], value["digest"])
            event = None
    if event is not None:
        yield RecordedStep(event, None, None)


def kinds_of(instructions: Sequence[Instruction]) -> str:
    """Return the names of the instruction classes in order."""
    return " ".join(type(one).__name__ for one in instructions)


def digest_of(instructions: Sequence[Instruction]) -> str:
    """Return a digest of the recordable parts of instructions."""
    text = json.dumps(encode(instructions), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
