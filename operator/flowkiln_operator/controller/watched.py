"""What the watches have shown: enough to know which runs an event concerns, and which events concern none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowkiln.api.names import RUN_NAME_ANNOTATION
from flowkiln_operator.controller.work_queue import Key

Document = Mapping[str, Any]

_CHANGING_OFTEN = frozenset({"message", "progress", "counts"})


@dataclass(frozen=True, slots=True)
class _Run:
    uid: str
    essence: tuple[Any, ...]
    state: str
    flow: str
    """The Flow that the run waits for; empty when it has its plan."""


@dataclass(slots=True)
class Watched:
    """The runs of which events came. An entry is a few words, not the object."""

    _runs: dict[Key, _Run] = field(default_factory=dict)

    def see_run(self, document: Document) -> bool:
        """Take an event of a FlowRun; return whether anything has changed that decisions rest on.

        An agent reports its progress up to once a second; nothing is to be decided about that.
        """
        key = key_of(document)
        seen = _Run(document["metadata"]["uid"], _essence(document), _state(document), _awaited_flow(document))
        if self._runs.get(key) == seen:
            return False
        self._runs[key] = seen
        return True

    def lose_run(self, document: Document) -> None:
        """Take the event of a FlowRun that is gone; there may be another of its name by now."""
        key = key_of(document)
        if (seen := self._runs.get(key)) is not None and seen.uid == document["metadata"]["uid"]:
            del self._runs[key]

    def knows(self, key: Key) -> bool:
        """Whether a run of this key was seen, and is not gone."""
        return key in self._runs

    def waiting_for(self, flow: Document) -> list[Key]:
        """Return the runs that have no plan yet and refer to this Flow."""
        namespace, name = key_of(flow)
        return [key for key, run in self._runs.items() if run.flow == name and key[0] == namespace]

    def states(self) -> list[str]:
        """Return the state of each run."""
        return [run.state for run in self._runs.values()]


def key_of(document: Document) -> Key:
    """Return namespace and name of an object."""
    metadata = document["metadata"]
    return metadata["namespace"], metadata["name"]


def run_of(child: Document) -> Key | None:
    """Return the run that a DaskCluster or pod claims as its own. It may lie: then one look is for nothing."""
    name = (child["metadata"].get("annotations") or {}).get(RUN_NAME_ANNOTATION)
    return (child["metadata"]["namespace"], name) if name else None


def _state(document: Document) -> str:
    return str((document.get("status") or {}).get("state") or "")


def _awaited_flow(document: Document) -> str:
    if (document.get("status") or {}).get("plan"):
        return ""
    return str(((document.get("spec") or {}).get("flowRef") or {}).get("name") or "")


def _essence(document: Document) -> tuple[Any, ...]:
    metadata, status = document["metadata"], document.get("status") or {}
    flow = status.get("flow") or {}
    return (
        metadata.get("generation"),
        "deletionTimestamp" in metadata,
        repr({key: value for key, value in status.items() if key not in ("flow", "tasks")}),
        repr({key: value for key, value in flow.items() if key not in _CHANGING_OFTEN}),
    )
