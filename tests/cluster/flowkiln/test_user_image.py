"""An image of a user's own, built on the runtime image as docs/install.md shows, and flows that are in it."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from tests.cluster.harness.interface import NotOfferedError
from tests.cluster.harness.places import CHECKOUT

from .flows import make_flow, make_run
from .installation import Installation
from .runs import Runs, state, task_status

CODE = """
    import importlib.metadata

    import s3fs
    from flowkiln import Flow, task


    @task
    def protocols():
        return sorted(s3fs.S3FileSystem.protocol)


    @task
    def tell(found):
        print(f"s3fs {importlib.metadata.version('s3fs')} reads {' and '.join(found)}", flush=True)


    with Flow("climate") as flow:
        tell(protocols())
"""
TOLD = re.compile(r"s3fs \d+\.\d+\.\d+ reads s3 and s3a")


def dockerfile() -> str:
    """Return the Dockerfile of docs/install.md, on a base that is given when it is built."""
    page = (CHECKOUT / "docs" / "install.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```dockerfile\n(.*?)```", page, re.DOTALL)
    onto, *instructions = text.splitlines()
    assert onto.startswith("FROM registry.example/flowkiln-runtime:")
    return "\n".join(["ARG BASE", "FROM ${BASE}", *instructions, ""])


@pytest.fixture
def user_image(flowkiln: Installation, tmp_path: Path) -> str:
    """Return the image, built and on the node. pip resolves s3fs in it, and finds nothing broken afterwards."""
    (tmp_path / "Dockerfile").write_text(dockerfile())
    (tmp_path / "climate.py").write_text(textwrap.dedent(CODE).lstrip())
    try:
        return flowkiln.cluster.build_image(tmp_path, flowkiln.images.runtime)
    except NotOfferedError as error:
        pytest.skip(str(error))


def test_flows_of_a_users_image_run(runs: Runs, user_image: str) -> None:
    """As an entrypoint and as tasks, without inline source; and beside inline source, which imports from the image.

    Agent and workers find the module in the image's working folder, and what pip has installed.
    """
    cluster = {"image": user_image}
    source = {"more.py": "import climate\n\n\ndef load():\n    return climate.protocols.run()\n"}
    runs.apply(
        make_flow("entrypoint", entrypoint="climate:flow", cluster=cluster),
        make_flow(
            "tasks",
            {"name": "load", "function": "more:load"},
            {"name": "tell", "function": "climate:tell.run", "inputs": [{"name": "found", "task": "load"}]},
            source=source,
            cluster=cluster,
        ),
        make_flow("without-source", {"name": "load", "function": "climate:protocols.run"}, cluster=cluster),
    )
    with runs.follow_logs() as logs:
        runs.apply(*(make_run(name, name) for name in ("entrypoint", "tasks", "without-source")))
        finished = {name: runs.finish(name) for name in ("entrypoint", "tasks", "without-source")}
        logs.wait_for("worker", "reads s3 and s3a")
    assert {name: state(run) for name, run in finished.items()} == dict.fromkeys(finished, "Success")
    assert task_status(finished["entrypoint"], "tell")["state"] == "Success"
    assert task_status(finished["without-source"], "load")["state"] == "Success"
    assert any(TOLD.search(line) for line in logs.lines("worker"))
