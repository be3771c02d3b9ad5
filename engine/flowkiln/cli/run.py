"""`flowkiln run`: run a flow on this machine and show its progress."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowkiln.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from flowkiln.loading import LoadedFlow

_HELP = f"""Run the flow of FILE on this machine.

FILE is a Python file with a flow at module level (flow.py; flow.py:name if there are several), or a YAML file with a
Flow and optionally a FlowRun; the FlowRun may be in a second file.

Output and logs of task bodies are shown on standard error, line by line. Standard output has only the outcome.

Ctrl-C, SIGTERM and the flow's timeout end the run: tasks that have not finished become Cancelled. An exception is
raised in running bodies, and their `finally` blocks have about three seconds. Then their child processes get SIGTERM,
and SIGKILL if they do not end. With dask and threads, the exception does not reach a body that waits in one long call
(a sleep, a lock): it ends with its process, or its thread is left behind. A second Ctrl-C ends the program at once.
Processes that a body leaves behind end with the run.

\b
Exit codes:
{chr(10).join(f"  {code.value:<4} {code.meaning}" for code in ExitCode)}
"""


@click.command(help=_HELP, short_help="Run a flow on this machine.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "-p",
    "--parameter",
    "given",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter. Its schema decides how it is parsed: text unchanged, numbers, lists and other types as JSON. "
    "Without a schema it is JSON if it parses as JSON, else text.",
)
@click.option(
    "--parameters",
    "parameters_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML or JSON file with parameters. It overrides the FlowRun, and -p overrides it.",
)
@click.option(
    "--executor",
    type=click.Choice(["dask", "threads", "sync", "local"]),
    default="dask",
    show_default=True,
    help="dask: worker processes of a local Dask cluster; threads: Dask with threads of this process; "
    "sync: one task after another in this process, ordered by Dask; local: one after another, without Dask.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Number of processes (dask) or threads (threads).  [default: one for each core, at least 2]",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the outcome as one JSON object instead of a table; docs/run.md describes it.",
)
@click.option(
    "-q",
    "--quiet",
    is_flag=True,
    help="Print nothing if the run succeeds, otherwise only the failures, on standard error; with --json, only JSON.",
)
@click.option(
    "--record-events",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write what happened to a file in FOLDER, for a report of a defect; docs/debugging.md says what is in it.",
)
def run(
    files: tuple[str, ...],
    given: tuple[str, ...],
    parameters_file: Path | None,
    executor: str,
    workers: int | None,
    as_json: bool,
    quiet: bool,
    record_events: Path | None,
) -> None:
    """Run the command; the help text is `_HELP`."""
    from flowkiln.cli.output.capture import standard_streams
    from flowkiln.cli.parameters import parse_parameter, read_parameters
    from flowkiln.cli.run_locally import run_locally

    if record_events is not None:
        from flowkiln.common.configuration import config

        config.set_nested("engine.driver.record", str(record_events))
    parameters = {} if parameters_file is None else read_parameters(parameters_file)
    parameters.update(parse_parameter(text) for text in given)
    with standard_streams() as streams, _load(files, parameters) as loaded:
        raise SystemExit(run_locally(loaded, executor, workers, streams, as_json=as_json, quiet=quiet))


def _load(files: tuple[str, ...], parameters: dict[str, object]) -> LoadedFlow:
    """Load the flow, or print the error and end the program."""
    from flowkiln.common.tracebacks import user_traceback
    from flowkiln.loading import FlowLoadError, InvalidSpecError, load_file

    try:
        return load_file(*files, parameters=parameters)
    except InvalidSpecError as error:
        for problem in str(error).splitlines():
            click.echo(f"Error: {problem}", err=True)
        raise SystemExit(ExitCode.INVALID) from error
    except FlowLoadError as error:
        if error.__cause__ is not None:
            click.echo(user_traceback(error.__cause__), err=True, nl=False)
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(ExitCode.LOAD_FAILED) from error
