"""Carry out `flowkiln run` once the flow is loaded."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from flowkiln.cli.console import LenientStream, make_console
from flowkiln.cli.display import announce_end, watching
from flowkiln.cli.executor_kinds import ExecutorKind, make_executor
from flowkiln.cli.exit_codes import ExitCode
from flowkiln.cli.interrupts import LEFT_AT_ONCE, Interruption, ending_on_interrupt
from flowkiln.cli.json_outcome import document, run_outcome
from flowkiln.cli.leftovers import nothing_left_behind
from flowkiln.cli.output.capture import StandardStreams
from flowkiln.cli.output.order import OrderedLog
from flowkiln.cli.output.printing import LinePrinting
from flowkiln.cli.progress import progress_of
from flowkiln.cli.summary import print_summary
from flowkiln.core.local_ids import local_ids
from flowkiln.engine.conductor import Conductor
from flowkiln.engine.records import record_of_flow
from flowkiln.engine.state import Cancelled, State
from flowkiln.loading import LoadedFlow


def run_locally(
    loaded: LoadedFlow, executor: str, workers: int | None, streams: StandardStreams, *, as_json: bool, quiet: bool
) -> ExitCode:
    """Run the flow to its end, show progress on standard error and the outcome on standard output.

    What bodies write and log is shown on standard error, between the changes of state.
    """
    errors, output = LenientStream(streams.err), LenientStream(streams.out)
    console = make_console(errors, quiet=quiet)
    names = local_ids(loaded.flow)
    progress = progress_of(loaded.flow)
    returned = tuple(task for task in names if task in loaded.flow.reference_tasks()) if as_json else ()
    run_id, started = uuid.uuid4().hex, time.time()
    with ExitStack() as held:
        display = held.enter_context(watching(console, loaded.name, progress))
        log = OrderedLog(display, LinePrinting(console, loaded.name), run_id)
        address = held.enter_context(streams.capturing(log))
        leftovers = held.enter_context(nothing_left_behind())
        conductor = Conductor(
            loaded.flow,
            make_executor(ExecutorKind(executor), workers, address),
            parameters=loaded.parameters,
            context=loaded.context,
            observer=log,
            run_id=run_id,
            return_tasks=returned,
        )

        def terminate() -> None:
            announce_end(console, progress)
            end()

        def end() -> None:
            conductor.terminate()
            leftovers.end_bodies(run_id)

        def before_exit() -> None:
            console.show_cursor(True)
            leftovers.kill()
            with suppress(OSError):
                # Not by the stream: this may have come in the midst of writing to it.
                os.write(errors.fileno(), LEFT_AT_ONCE.encode())

        with (
            ending_on_interrupt(terminate, before_exit) as interruption,
            _deadline(loaded, end) as deadline,
        ):
            state = conductor.run()
            # Here, where a second Ctrl-C is looked after.
            leftovers.end()
    ended, record = time.time(), record_of_flow(state)
    if as_json:
        results = {names[task]: state.result[task] for task in returned} if isinstance(state.result, dict) else {}
        outcome = run_outcome(loaded.name, run_id, record, (started, ended), progress, results)
        output.write(json.dumps(document(outcome), indent=2, allow_nan=False) + "\n")
    elif not quiet:
        print_summary(make_console(output), loaded.name, record, progress, ended - started)
    output.flush()
    say = make_console(errors)
    if output.error is not None and not isinstance(output.error, BrokenPipeError):
        say.print(f"The outcome could not be written to standard output: {output.error}", style="red", markup=False)
    if deadline.is_set() and isinstance(state, Cancelled):
        say.print(f"The run took longer than its timeout of {loaded.timeout}.", style="red")
        return ExitCode.FAILED
    return exit_code(state, interruption)


def exit_code(state: State, interruption: Interruption) -> ExitCode:
    """Say by the final State, and by whether somebody ended the run, how the program ends."""
    if state.is_successful():
        return ExitCode.SUCCESS
    if interruption.requested:
        return ExitCode.INTERRUPTED
    return ExitCode.FAILED if state.is_finished() else ExitCode.PAUSED


@contextmanager
def _deadline(loaded: LoadedFlow, end: Callable[[], None]) -> Iterator[threading.Event]:
    """End the run when the flow's timeout is over; the event then is set."""
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
