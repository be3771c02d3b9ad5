"""The agent's connection to the Dask scheduler: identity, liveness, and ending the workers."""

from __future__ import annotations

import asyncio
import logging
import ssl

from distributed.comm import get_address_host_port
from distributed.core import rpc
from distributed.security import Security

logger = logging.getLogger("flowkiln.agent")

TIMEOUT = 5.0
"""Timeout of one request, in seconds."""
CONNECT_TIMEOUT = 30.0
"""Timeout of name resolution and handshakes, in seconds, as in Dask."""
CONNECT_PAUSE = 0.1
"""Seconds between two connection attempts to a starting scheduler."""
QUICK_TIMEOUT = 1.0
"""Seconds in which a healthy scheduler answers."""
CHECK_EVERY = 3.0
"""Seconds between two checks of the scheduler."""
LOST_AFTER = 2
"""Failed checks in a row after which the scheduler counts as lost."""


class SchedulerLink:
    """Requests to one scheduler. Certificates come from Dask's settings; responses are never unpickled."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._connection = Security().get_connection_args("client") if address.startswith("tls:") else {}

    async def identity(self, within: float = TIMEOUT) -> str:
        """Return the scheduler's id, new for each start. Raise OSError (or TimeoutError) if it does not answer."""
        document = await self._ask("identity", within, n_workers=0)
        return str(document["id"])

    async def wait_for_identity(self) -> str:
        """Return the scheduler's id, waiting as long as its start takes."""
        try:
            return await self.identity(QUICK_TIMEOUT)
        except OSError as error:
            logger.info("waiting for the scheduler at %s: %s", self.address, error)
        while True:
            await asyncio.sleep(CONNECT_PAUSE)
            try:
                # Dask backs off after each failed connection, up to half its timeout, so Dask is not used until one
                # succeeds.
                await self._check_connection(CONNECT_TIMEOUT, self._connection.get("ssl_context"))
                return await self.identity(CONNECT_TIMEOUT)
            except OSError:
                continue

    async def is_lost(self, scheduler_id: str) -> str | None:
        """Return why the scheduler's results are lost; None while it is alive, or too busy to answer."""
        try:
            current = await asyncio.wait_for(self.identity(), QUICK_TIMEOUT)
        except OSError:
            # Only now: the scheduler logs each such connection as a failed handshake.
            try:
                await self._check_connection()
            except OSError as error:
                return f"the Dask scheduler is gone, and the task results with it: {error}"
            try:
                current = await self.identity()
            except OSError as error:
                # Large graphs keep it busy for many seconds. Kubernetes restarts a hanging one, which changes its id.
                logger.warning("the scheduler does not answer: %s", error)
                return None
        return None if current == scheduler_id else "the Dask scheduler was restarted, and the task results are gone"

    async def wait_until_lost(self, scheduler_id: str) -> str:
        """Check the scheduler until it is lost or restarted; return which."""
        misses = 0
        while True:
            await asyncio.sleep(CHECK_EVERY)
            why = await self.is_lost(scheduler_id)
            misses = 0 if why is None else misses + 1
            if why is not None and misses >= LOST_AFTER:
                return why

    async def end_workers(self) -> None:
        """End the processes of all workers, including running bodies and nannies."""
        for nanny in (True, False):
            # Workers with a nanny end in the first round.
            try:
                await self._ask("broadcast", msg={"op": "terminate"}, nanny=nanny, on_error="ignore")
            except OSError as error:
                logger.warning("the workers did not confirm that they ended: %s", error)

    async def _check_connection(self, within: float = TIMEOUT, tls: ssl.SSLContext | None = None) -> None:
        """Raise OSError if the scheduler's address refuses connections. (Dask itself would retry for long.)"""
        host, port = get_address_host_port(self.address)
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port, ssl=tls), within)
        writer.close()

    async def _ask(self, question: str, within: float = TIMEOUT, **arguments: object) -> dict[str, object]:
        link = rpc(
            self.address,
            connection_args=self._connection,
            timeout=within,
            serializers=["msgpack"],
            deserializers=["msgpack"],
        )
        try:
            answer = await asyncio.wait_for(getattr(link, question)(**arguments), within)
        except ValueError as error:
            # Raised by tornado if a connection is closed before its TLS handshake.
            raise ConnectionError(f"the connection could not be used: {error}") from error
        finally:
            await link.close_rpc()
        return answer if isinstance(answer, dict) else {}
