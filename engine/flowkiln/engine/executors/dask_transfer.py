"""How what a unit left behind goes from one process to another: states that cannot, fail; the transfer does not.

Dask itself would try for ever to send a value that cannot be pickled, and lose the connection over one that cannot be
unpickled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dask.sizeof import sizeof
from distributed.protocol import pickle
from distributed.protocol.serialize import dask_deserialize, dask_serialize, pickle_dumps, pickle_loads
from distributed.sizeof import safe_sizeof

from flowkiln.engine.portable import ForeignError, portable
from flowkiln.engine.state import Failed, State
from flowkiln.engine.unit_runner import HeldUnit
from flowkiln.utilities.safe_text import safe_repr, safe_str


@dataclass(frozen=True, slots=True)
class TransferableUnit(HeldUnit):
    """What a unit left behind on a Dask worker."""


def sendable(state: State) -> State:
    """Give the state itself if it can be pickled, else a Failed one that says what cannot."""
    try:
        pickle.dumps(state)
    except BaseException as error:
        reason = f"A result of type {type(state.result).__name__} cannot be sent to another process: {safe_str(error)}"
        return Failed(reason, result=ForeignError(reason))
    return state


def _pack(held: TransferableUnit) -> tuple[dict[str, Any], list[Any]]:
    states = tuple(map(portable, held.states))
    try:
        header, frames = pickle_dumps(states)
    except BaseException:
        header, frames = pickle_dumps(tuple(map(sendable, states)))
    return {**header, "states": len(states)}, frames


def _unpack(header: dict[str, Any], frames: list[Any]) -> TransferableUnit:
    try:
        return TransferableUnit(pickle_loads(header, frames))
    except BaseException as error:
        count = header["states"]
        which = "A result" if count == 1 else f"One of {count} results that travelled together"
        reason = f"{which} cannot be read in another process, where unpickling it fails: {safe_repr(error)}"
        return TransferableUnit(tuple(Failed(reason, result=ForeignError(reason)) for _ in range(count)))


STATE_SIZE = 500
"""Bytes that a state takes without its result, about."""


def _size(held: TransferableUnit) -> int:
    """Tell Dask what a unit weighs: it decides by that what to move, and what to spill to disk."""
    return sum(STATE_SIZE + safe_sizeof(state.result) for state in held.states)


sizeof.register(TransferableUnit, _size)
dask_serialize.register(TransferableUnit, _pack)
dask_deserialize.register(TransferableUnit, _unpack)
