"""Carry connections from this host's loopback to a server inside a network namespace.

Run as a process of its own: `forwarder LISTENING_FD FIRST_PID HOST PORT`. The listening socket was opened outside and
stays there; the process itself enters the namespace of process FIRST_PID, and ends when that process does.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import sys
from pathlib import Path

CLONE_NEWNET = 0x40000000
CHUNK = 256 * 1024  # bytes


def enter_network(namespace: Path) -> None:
    """Move this thread into a network namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    with namespace.open() as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(namespace))


async def forward(listening: socket.socket, first_pid: int, host: str, port: int) -> None:
    """Serve until the namespace's first process ends."""
    ended = asyncio.Event()
    watched = os.pidfd_open(first_pid)
    asyncio.get_running_loop().add_reader(watched, ended.set)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(host, port)
        except OSError:  # nobody listens: the caller sees its connection closed
            writer.close()
            return
        await asyncio.gather(_copy(reader, server_writer), _copy(server_reader, writer))

    async with await asyncio.start_server(serve, sock=listening):
        await ended.wait()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:  # one side hung up: hang up on the other too
        writer.close()


def main(listening_fd: str, first_pid: str, host: str, port: str) -> None:
    """Run the process."""
    listening = socket.socket(fileno=int(listening_fd))
    enter_network(Path(f"/proc/{first_pid}/ns/net"))
    asyncio.run(forward(listening, int(first_pid), host, int(port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
