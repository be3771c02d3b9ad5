"""`python -m flowkiln.engine.driver.replay FILE`: repeat the decisions of a recorded run."""

from __future__ import annotations

from pathlib import Path

import click

from flowkiln.common.exceptions import SerializationError
from flowkiln.engine.driver.phases import DriverError
from flowkiln.engine.driver.recording import digest_of, kinds_of, read_recording


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-v", "--verbose", is_flag=True, help="Show every event and its instructions.")
def main(file: Path, verbose: bool) -> None:
    """Repeat the decisions of a recorded run, without running tasks. The driver checks itself after the events.

    Exit code 1: the driver fails, or its instructions differ from those in FILE.
    """
    try:
        with file.open(encoding="utf-8") as lines:
            recording = read_recording(lines)
    except (SerializationError, UnicodeDecodeError) as error:
        raise click.ClickException(str(error)) from error
    driver = recording.driver()
    click.echo(f"Recorded by flowkiln {recording.flowkiln}: {len(recording.steps)} events.")
    for number, step in enumerate(recording.steps, start=1):
        if verbose:
            click.echo(f"event {number}: {step.event}")
        try:
            instructions = driver.handle(step.event)
        except DriverError as error:
            raise click.ClickException(f"Event {number}, {type(step.event).__name__}: {error}") from error
        if verbose:
            for instruction in instructions:
                click.echo(f"  {instruction}")
        if step.digest not in (None, digest_of(instructions)):
            raise click.ClickException(
                f"Event {number}, {type(step.event).__name__}, leads to other instructions than when it was recorded: "
                f"[{kinds_of(instructions)}], recorded [{step.kinds}]."
            )
    click.echo("All events lead to the recorded instructions.")


if __name__ == "__main__":
    main()
