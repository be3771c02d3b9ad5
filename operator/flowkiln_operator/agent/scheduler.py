"""The agent's own line to the Dask scheduler: who it is, whether it is still there, and ending its workers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from distributed.core import rpc
from distributed.security import Security

logger = logging.getLogger("flowkiln.agent")

TIMEOUT = 5.0
"""Seconds for one question and its answer."""
CONNECT_PAUSE = 0.25
CHECK_EVERY = 5.0
"""Seconds between two looks at the scheduler."""
LOST_AFTER = 3
"""Looks in a row without an answer after which the scheduler counts as lost."""


class SchedulerLink:
    """Questions to one scheduler. Certificates come from Dask's own settings; nothing that comes back is unpickled."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._connection = (
            Security().get_connection_args("client")  # type: ignore[no-untyped-call]
            if address.startswith("tls:")
            else {}
        )

    async def identity(self) -> str:
        """The scheduler's id, another one for each start. Raises OSError (or its TimeoutError) if it cannot be had."""
        document = await self._ask("identity", n_workers=0)
        return str(document["id"])

    async def wait_for_identity(self) -> str:
        """The scheduler's id, however long its start takes."""
        said = False
        while True:
            try:
                return await self.identity()
            except OSError as error:
                if not said:
                    logger.info("waiting for the scheduler at %s: %s", self.address, error)
                said = True
                await asyncio.sleep(CONNECT_PAUSE)

    async def watch(self, scheduler_id: str, on_lost: Callable[[str], None]) -> None:
        """Look at the scheduler until it is gone, or is another one; then say so, once."""
        misses = 0
        while misses < LOST_AFTER:
            await asyncio.sleep(CHECK_EVERY)
            try:
                current = await self.identity()
            except OSError as error:
                misses += 1
                logger.warning("the scheduler does not answer: %s", error)
                continue
            misses = 0
            if current != scheduler_id:
                on_lost("the Dask scheduler was restarted, and the task results are gone")
                return
        on_lost("the Dask scheduler does not answer any more")

    async def end_workers(self) -> None:
        """End the processes of all workers, running task bodies included. Their nannies go too."""
        for nanny in (True, False):
            # Workers that have a nanny are gone after the first round.
            try:
                await self._ask("broadcast", msg={"op": "terminate"}, nanny=nanny, on_error="ignore")
            except OSError as error:
                logger.warning("the workers could not be told to end: %s", error)
                return

    async def _ask(self, question: str, **arguments: object) -> dict[str, object]:
        link = rpc(  # type: ignore[no-untyped-call]
            self.address,
            connection_args=self._connection,
            timeout=TIMEOUT,
            serializers=["msgpack"],
            deserializers=["msgpack"],
        )
        try:
            answer = await asyncio.wait_for(getattr(link, question)(**arguments), TIMEOUT)
        finally:
            await link.close_rpc()  # type: ignore[no-untyped-call]
        return answer if isinstance(answer, dict) else {}
