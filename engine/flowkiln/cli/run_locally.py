"""Run a loaded flow for `flowkiln run`."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from flowkiln.cli.child_processes import ending_child_processes
from flowkiln.cli.console import ResilientStream, make_console
from flowkiln.cli.display import announce_end, print_outcome, watching
from flowkiln.cli.executor_kinds import ExecutorKind, make_executor
from flowkiln.cli.exit_codes import ExitCode
from flowkiln.cli.interrupts import INTERRUPTED_AGAIN, Interruption, ending_on_interrupt
from flowkiln.cli.json_outcome import document, run_outcome
from flowkiln.cli.output.capture import StandardStreams
from flowkiln.cli.output.order import OrderedLog
from flowkiln.cli.output.printing import LinePrinting
from flowkiln.cli.progress import RunProgress, progress_of
from flowkiln.cli.summary import print_failures, print_summary
from flowkiln.cli.tables import duration
from flowkiln.core.local_ids import local_ids
from flowkiln.engine.runs.conductor import Conductor
from flowkiln.loading import LoadedFlow
from flowkiln.states.records import record_of_flow
from flowkiln.states.state import Cancelled, State


@dataclass(frozen=True, slots=True)
class _EndedRun:
    """A finished run. `times` are its start and end, in seconds since the epoch."""

    id: str
    loaded: LoadedFlow
    state: State
    progress: RunProgress
    times: tuple[float, float]

    @property
    def seconds(self) -> float:
        """Return how long the run took."""
        return self.times[1] - self.times[0]


def run_locally(
    loaded: LoadedFlow, executor: str, workers: int | None, streams: StandardStreams, *, as_json: bool, quiet: bool
) -> ExitCode:
    """Run the flow to its end, show progress on standard error and the outcome on standard output.

    Output and logs of bodies are shown on standard error, between the state changes.
    """
    errors, output = ResilientStream(streams.err), ResilientStream(streams.out)
    console = make_console(errors, quiet=quiet)
    progress = progress_of(loaded.flow)
    run_id, started = uuid.uuid4().hex, time.time()
    with ExitStack() as held:
        display = held.enter_context(watching(console, loaded.name, progress))
        log = OrderedLog(display, LinePrinting(console, loaded.name), run_id)
        address = held.enter_context(streams.capturing(log))
        children = held.enter_context(ending_child_processes())
        conductor = Conductor(
            loaded.flow,
            make_executor(ExecutorKind(executor), workers, address),
            parameters=loaded.parameters,
            context=loaded.context,
            observer=log,
            run_id=run_id,
            return_tasks=tuple(loaded.flow.reference_tasks()) if as_json else (),
        )

        def terminate() -> None:
            announce_end(console, progress)
            end()

        def end() -> None:
            conductor.terminate()
            children.end_bodies(run_id)

        def before_exit() -> None:
            console.show_cursor(True)
            children.kill()
            with suppress(OSError):
                # Directly to the file descriptor: the signal may have interrupted a write to the stream.
                os.write(errors.fileno(), print_outcome(console, INTERRUPTED_AGAIN).encode())

        with (
            ending_on_interrupt(terminate, before_exit) as interruption,
            _deadline(loaded, end) as deadline,
        ):
            state = conductor.run()
            # Inside the block, so a second Ctrl-C still ends the program at once.
            children.end()
    run = _EndedRun(run_id, loaded, state, progress, (started, time.time()))
    if as_json:
        _print_json(output, run)
    elif not quiet:
        print_summary(make_console(output), loaded.name, record_of_flow(state), progress, run.seconds)
    elif not state.is_successful():
        print_failures(make_console(errors), loaded.name, record_of_flow(state), progress, run.seconds)
    output.flush()
    if output.error is not None and not isinstance(output.error, BrokenPipeError):
        _print_error(errors, f"The outcome could not be written to standard output: {output.error}")
    if deadline.is_set() and isinstance(state, Cancelled) and loaded.timeout is not None:
        _print_error(errors, f"The run took longer than its timeout of {duration(loaded.timeout.total_seconds())}.")
        return ExitCode.FAILED
    return exit_code(state, interruption)


def _print_json(output: ResilientStream, run: _EndedRun) -> None:
    """Print the outcome as JSON, with the results of the reference tasks."""
    found = run.state.result if isinstance(run.state.result, dict) else {}
    # In the order of the flow's tasks.
    results = {name: found[task] for task, name in local_ids(run.loaded.flow).items() if task in found}
    outcome = run_outcome(run.loaded.name, run.id, record_of_flow(run.state), run.times, run.progress, results)
    output.write(json.dumps(document(outcome), indent=2, allow_nan=False) + "\n")


def _print_error(errors: ResilientStream, text: str) -> None:
    make_console(errors).print(text, style="red", markup=False, highlight=False, soft_wrap=True)


def exit_code(state: State, interruption: Interruption) -> ExitCode:
    """Return the exit code for the final State, or for a run that was interrupted."""
    if state.is_successful():
        return ExitCode.SUCCESS
    if interruption.requested:
        return ExitCode.INTERRUPTED
    return ExitCode.FAILED if state.is_finished() else ExitCode.PAUSED


@contextmanager
def _deadline(loaded: LoadedFlow, end: Callable[[], None]) -> Iterator[threading.Event]:
    """End the run when the flow's timeout is over, and set the event."""
    passed = threading.Event()

    def expire() -> None:
        passed.set()
        end()

    if loaded.timeout is None:
        yield passed
        return
    timer = threading.Timer(loaded.timeout.total_seconds(), expire)
    timer.daemon = True
    timer.start()
    try:
        yield passed
    finally:
        timer.cancel()
