"""The agent's own line to the Dask scheduler: who it is, whether it is still there, and ending its workers."""

from __future__ import annotations

import asyncio
import logging
import ssl

from distributed.comm import get_address_host_port
from distributed.core import rpc
from distributed.security import Security

logger = logging.getLogger("flowkiln.agent")

TIMEOUT = 5.0
"""Seconds for one question and its answer."""
CONNECT_TIMEOUT = 30.0
"""Seconds that names and handshakes may take in a network that is slow, as Dask itself allows."""
CONNECT_PAUSE = 0.1
"""Seconds between two looks for a scheduler that starts."""
QUICK_TIMEOUT = 1.0
"""Seconds that a scheduler which is well takes to answer, at most."""
CHECK_EVERY = 3.0
"""Seconds between two looks at the scheduler."""
LOST_AFTER = 2
"""Looks in a row that find nobody listening after which the scheduler counts as lost."""


class SchedulerLink:
    """Questions to one scheduler. Certificates come from Dask's own settings; nothing that comes back is unpickled."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._connection = Security().get_connection_args("client") if address.startswith("tls:") else {}

    async def identity(self, within: float = TIMEOUT) -> str:
        """The scheduler's id, another one for each start. Raises OSError (or its TimeoutError) if it cannot be had."""
        document = await self._ask("identity", within, n_workers=0)
        return str(document["id"])

    async def wait_for_identity(self) -> str:
        """The scheduler's id, however long its start takes and whatever becomes of connections until then."""
        try:
            return await self.identity(QUICK_TIMEOUT)
        except OSError as error:
            logger.info("waiting for the scheduler at %s: %s", self.address, error)
        while True:
            await asyncio.sleep(CONNECT_PAUSE)
            try:
                # Dask waits longer after each connection that fails, up to half its patience. So it gets none of them.
                await self._check_connection(CONNECT_TIMEOUT, self._connection.get("ssl_context"))
                return await self.identity(CONNECT_TIMEOUT)
            except OSError:
                continue

    async def is_lost(self, scheduler_id: str) -> str | None:
        """Why the results that this scheduler kept are gone; None while it is there, or too busy to answer."""
        try:
            current = await asyncio.wait_for(self.identity(), QUICK_TIMEOUT)
        except OSError:
            # Not before: the scheduler logs each knock as a failed handshake.
            try:
                await self._check_connection()
            except OSError as error:
                return f"the Dask scheduler is gone, and the task results with it: {error}"
            try:
                current = await self.identity()
            except OSError as error:
                # Large graphs keep it busy for many seconds. One that hangs is restarted by Kubernetes, another then.
                logger.warning("the scheduler does not answer: %s", error)
                return None
        return None if current == scheduler_id else "the Dask scheduler was restarted, and the task results are gone"

    async def wait_until_lost(self, scheduler_id: str) -> str:
        """Look at the scheduler until it is gone, or is another one; says which."""
        misses = 0
        while True:
            await asyncio.sleep(CHECK_EVERY)
            why = await self.is_lost(scheduler_id)
            misses = 0 if why is None else misses + 1
            if why is not None and misses >= LOST_AFTER:
                return why

    async def end_workers(self) -> None:
        """End the processes of all workers, running task bodies included. Their nannies go too."""
        for nanny in (True, False):
            # Workers that have a nanny are gone after the first round.
            try:
                await self._ask("broadcast", msg={"op": "terminate"}, nanny=nanny, on_error="ignore")
            except OSError as error:
                logger.warning("the workers did not say that they ended: %s", error)

    async def _check_connection(self, within: float = TIMEOUT, tls: ssl.SSLContext | None = None) -> None:
        """Raise OSError if nobody listens at the scheduler's address. (Dask itself would go on trying for long.)"""
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
            # How tornado says that a connection was closed before its TLS handshake began.
            raise ConnectionError(f"the connection could not be used: {error}") from error
        finally:
            await link.close_rpc()
        return answer if isinstance(answer, dict) else {}
