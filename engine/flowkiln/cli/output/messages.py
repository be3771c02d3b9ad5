"""Messages from a worker process to the process of the run, between raw output of bodies in the same pipe.

A message is written by one call and has at most `PIPE_BUF` bytes, so the kernel never interleaves it with other writes;
a long text is split into several messages. Each starts with a token that only these processes know.
"""

from __future__ import annotations

import json
import os
import select
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TOKEN_LENGTH = 12

_LENGTHS = struct.Struct("!HH")
_HEADER_LIMIT = 1024
_TEXT_PER_MESSAGE = select.PIPE_BUF - TOKEN_LENGTH - _LENGTHS.size - _HEADER_LIMIT
_NAME_LIMIT = 128


@dataclass(frozen=True, slots=True)
class Message:
    """`kind` and values that JSON can carry, with a text."""

    kind: str
    values: tuple[Any, ...]
    text: str = ""


def new_token() -> bytes:
    """Return a new token that output does not contain."""
    return os.urandom(TOKEN_LENGTH)


def encode(token: bytes, message: Message) -> Iterator[bytes]:
    """Return the writes that carry a message."""
    values = [value[:_NAME_LIMIT] if isinstance(value, str) else value for value in message.values]
    text = message.text.encode(errors="backslashreplace")
    for start in range(0, max(1, len(text)), _TEXT_PER_MESSAGE):
        part = text[start : start + _TEXT_PER_MESSAGE]
        sender = None if start + len(part) == len(text) else threading.get_ident()
        before = threading.get_ident() if start else None
        header = json.dumps((message.kind, values, before, sender), separators=(",", ":")).encode()
        yield b"".join((token, _LENGTHS.pack(len(header), len(part)), header, part))


class Decoder:
    """Split the bytes of a pipe into raw output and messages."""

    def __init__(self, token: bytes) -> None:
        self._token = token
        self._waiting = b""
        self._unfinished: dict[int, bytes] = {}

    def feed(self, data: bytes) -> Iterator[bytes | Message]:
        """Add bytes and return the completed parts, in order."""
        data = self._waiting + data
        while True:
            raw, found, after = data.partition(self._token)
            if not found:
                kept = _overlap(raw, self._token)
                if len(raw) > kept:
                    yield raw[: len(raw) - kept]
                self._waiting = raw[len(raw) - kept :]
                return
            if raw:
                yield raw
            if len(after) < _LENGTHS.size:
                break
            header_length, text_length = _LENGTHS.unpack_from(after)
            end = _LENGTHS.size + header_length + text_length
            if len(after) < end:
                break
            header = json.loads(after[_LENGTHS.size : _LENGTHS.size + header_length])
            message = self._join(header, after[_LENGTHS.size + header_length : end])
            if message is not None:
                yield message
            data = after[end:]
        self._waiting = self._token + after

    def end(self) -> bytes:
        """Return the incomplete part."""
        rest, self._waiting = self._waiting, b""
        return b"" if rest.startswith(self._token) else rest

    def _join(self, header: list[Any], part: bytes) -> Message | None:
        kind, values, before, unfinished = header
        text = part if before is None else self._unfinished.pop(before, b"") + part
        if unfinished is not None:
            self._unfinished[unfinished] = text
            return None
        return Message(kind, tuple(values), text.decode(errors="replace"))


def _overlap(data: bytes, token: bytes) -> int:
    """Return how many bytes at the end of the data may be the start of a token."""
    for length in range(min(len(data), len(token) - 1), 0, -1):
        if data.endswith(token[:length]):
            return length
    return 0
