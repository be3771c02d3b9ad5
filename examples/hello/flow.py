"""The smallest flow: one task, one parameter. Run it with `flowkiln run examples/hello/flow.py -p name=you`."""

from flowkiln import Flow, Parameter, task
from flowkiln.utilities.logging import get_run_logger


@task
def greet(name: str) -> str:
    greeting = f"Hello, {name}!"
    get_run_logger().info(greeting)
    return greeting


with Flow("hello") as flow:
    greet(Parameter("name", default="world"))
