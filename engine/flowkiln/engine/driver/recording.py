"""A driver that writes its inputs and events to a file, and the reading and replaying of such a file.

The file has a JSON object on each line: first what the driver was made with, then each event, and after it the kinds of
the instructions that it led to, with a digest of them. encoding.py says what is left out.
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
    """A driver that records all that it is told. An event is written before it is handled: it may be the last one."""

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
        """Take one event, and write it and what it led to."""
        self._write({"event": encode(event)})
        instructions = super().handle(event)
        self._write({"instructions": kinds_of(instructions), "digest": digest_of(instructions)})
        return instructions

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._file.flush()


@dataclass(frozen=True, slots=True)
class RecordedStep:
    """One event of a recording, and what it led to; None if the driver did not come to that."""

    event: Event
    kinds: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class Recording:
    """What a file tells: how the driver was made, and its events."""

    flowkiln: str
    arguments: Mapping[str, Any]
    steps: Sequence[RecordedStep]

    def driver(self) -> Driver:
        """Make the driver anew; it validates."""
        return Driver(**self.arguments, validates=True)


def read_recording(lines: Iterator[str]) -> Recording:
    """Read the lines of a recording. The last one may be cut off.

    Raises:
        SerializationError: they are no recording, or one of another version.
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
    """Name the classes of instructions in order."""
    return " ".join(type(one).__name__ for one in instructions)


def digest_of(instructions: Sequence[Instruction]) -> str:
    """Digest what a recording can tell of instructions."""
    text = json.dumps(encode(instructions), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
