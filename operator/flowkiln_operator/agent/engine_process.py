"""The process that the supervisor keeps alive: health check, logs, and one run from claim to final report.

After the run it stays alive and answers health checks until it is killed: if it exited, the supervisor, and then
Kubernetes, would restart it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import NoReturn

from flowkiln_operator.agent.drive import Health, drive
from flowkiln_operator.agent.health import serve_health
from flowkiln_operator.agent.json_logs import JsonLines, log_to_stdout
from flowkiln_operator.agent.settings import read_settings

logger = logging.getLogger("flowkiln.agent")


async def serve(formatter: JsonLines) -> NoReturn:
    """Drive the run, then idle until a signal; exit with code 1 if the run cannot be driven."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    code = 0
    try:
        settings = read_settings(os.environ)
        health = Health()
        serve_health(settings.health_port, health.check)
        driving = asyncio.ensure_future(drive(settings, formatter, health))
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait([driving, stopping], return_when=asyncio.FIRST_COMPLETED)
        if driving.done():
            logger.info("nothing more to do: %s", driving.result())
            await stopping
    except Exception:
        logger.exception("the engine process failed")
        code = 1
    sys.stdout.flush()
    # Immediately: threads of user code and of Dask could keep the process alive, and nothing needs cleanup.
    os._exit(code)


if __name__ == "__main__":
    asyncio.run(serve(log_to_stdout()))
