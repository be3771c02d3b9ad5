"""Run the supervisor by `python -m flowkiln_operator.agent`."""

from __future__ import annotations

from flowkiln_operator.agent.supervisor import Supervisor

if __name__ == "__main__":
    raise SystemExit(Supervisor().run())
