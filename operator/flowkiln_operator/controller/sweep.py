"""Removes from the tables what was deleted while no watch was open.

kopf does not report such deletions: after it has lost events, it lists what exists.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp

from flowkiln_operator.controller.api import ApiError, KubernetesApi
from flowkiln_operator.controller.handlers import Watched
from flowkiln_operator.controller.table import Scope

logger = logging.getLogger(__name__)

PERIOD = 600.0
"""Seconds between two sweeps. Usually the first object that kopf lists again causes one; none may be left, however."""
DELAY = 0.5
"""Seconds from a first sign of lost events to the sweep, so that many signs cause one."""


@dataclass(slots=True)
class Sweeper:
    """Compares the tables with what exists, from time to time and on request."""

    api: KubernetesApi
    kinds: Sequence[Watched]
    scopes: Sequence[Scope]
    _due: asyncio.Event = field(default_factory=asyncio.Event)

    def request(self) -> None:
        """Sweep soon."""
        self._due.set()

    async def run(self) -> None:
        """Sweep without end. A failure is logged, and the next sweep is due soon."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), PERIOD)
            self._due.clear()
            await asyncio.sleep(DELAY)
            for kind in self.kinds:
                for scope in self.scopes:
                    await self._sweep(kind, scope)

    async def _sweep(self, kind: Watched, scope: Scope) -> None:
        try:
            await sweep(self.api, kind, scope)
        except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            where = {"kind": kind.kind, "namespace": scope or "all"}
            logger.warning("cannot list what exists, trying again: %s", error, extra=where)
            self._due.set()
            await asyncio.sleep(DELAY)


async def sweep(api: KubernetesApi, kind: Watched, scope: Scope) -> None:
    """List the names of a kind in a scope, and remove all others from its table."""
    keys, version = await api.names(kind.api_version, kind.kind, scope, labels=kind.labels)
    kind.table.listed(scope, keys, version)
