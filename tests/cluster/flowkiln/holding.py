"""Tasks that wait until a test lets them go, so that it can look at their run for as long as it takes."""

from __future__ import annotations

from .runs import Runs

SIGN = "/tmp/go"
SOURCE = {
    "holding.py": f"""
        import pathlib
        import time


        def hold(value=None):
            while not pathlib.Path("{SIGN}").exists():
                time.sleep(0.1)
            return value
    """
}
"""Inline source of the function `holding:hold`, which gives back what it gets."""


def release(runs: Runs, name: str) -> None:
    """Let the waiting tasks of a run end."""
    for pod in runs.pods(runs.flow_run(name), "worker"):
        runs.kubectl("exec", pod["metadata"]["name"], "--container=worker", "--", "touch", SIGN)
