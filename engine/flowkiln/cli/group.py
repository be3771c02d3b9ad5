"""The command `flowkiln` and the discovery of its subcommands."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click

from flowkiln._version import __version__
from flowkiln.common.processes import kill_descendants

ENTRY_POINT_GROUP = "flowkiln.commands"
"""Entry points of this group are click commands. Their modules must import quickly: `--help` imports them all."""

_OWN_COMMANDS = {
    "install": "flowkiln.cli.install:install",
    "lint": "flowkiln.cli.lint:lint",
    "run": "flowkiln.cli.run:run",
}


class _Commands(click.Group):
    """A group that imports subcommands lazily by name."""

    def main(self, args: Any = None, *more: Any, **extra: Any) -> Any:
        """Run the command line; end the process afterwards even if threads of bodies still run."""
        try:
            return super().main(args, *more, **extra)
        except SystemExit as end:
            if args is None:
                _leave_bodies_behind(end)
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_OWN_COMMANDS, *_foreign_commands()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _OWN_COMMANDS:
            module, _, attribute = _OWN_COMMANDS[cmd_name].partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        entry_point = _foreign_commands().get(cmd_name)
        return None if entry_point is None else _load(entry_point)


def _leave_bodies_behind(end: SystemExit) -> None:
    """End this process if bodies cannot be stopped: Python would wait for their threads and processes."""
    bodies = sys.modules.get("flowkiln.engine.bodies.registry")  # not imported by other commands
    if bodies is not None and bodies.unstopped() and isinstance(end.code, int):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        # A process pool that such a body waits for keeps starting new processes.
        kill_descendants()
        os._exit(end.code)


def _foreign_commands() -> dict[str, EntryPoint]:
    return {entry_point.name: entry_point for entry_point in entry_points(group=ENTRY_POINT_GROUP)}


def _load(entry_point: EntryPoint) -> click.Command:
    """Return the command, or a command that reports its import error: a broken package must not break the others."""
    try:
        command: click.Command = entry_point.load()
    except Exception as error:
        return _unavailable(entry_point, error)
    return command


def _unavailable(entry_point: EntryPoint, error: Exception) -> click.Command:
    distribution = f" of {entry_point.dist.name}" if entry_point.dist is not None else ""
    reason = f"{entry_point.value}{distribution} cannot be imported: {type(error).__name__}: {error}"

    @click.command(
        entry_point.name,
        short_help=f"(unavailable: {type(error).__name__}: {error})",
        help=reason,
        context_settings={"ignore_unknown_options": True},
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def unavailable(arguments: tuple[str, ...]) -> None:
        raise click.ClickException(reason)

    return unavailable


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="flowkiln")
def main() -> None:
    """Run data flows on this machine or on Kubernetes."""
