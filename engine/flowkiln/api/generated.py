"""Files of the repository that are made from code: one command for each maker, that writes or checks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click


def generator(
    what: str, directory: Path, files: Callable[[], Mapping[str, str]], *, nothing_else_in: str = ""
) -> click.Command:
    """Return a command that writes files, by their paths below a directory.

    With --check it changes nothing, and fails when one differs. `what` is for people: what is written. Files of
    the pattern `nothing_else_in` that are not among them are removed.
    """

    @click.command(help=f"Write {what} into DIRECTORY.")
    @click.option("--check", is_flag=True, help="Change nothing; fail when a file differs from what would be written.")
    @click.argument("directory", type=click.Path(path_type=Path), default=directory)
    def main(check: bool, directory: Path) -> None:
        wanted = {directory / name: text for name, text in files().items()}
        stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]
        left = sorted(set(directory.glob(nothing_else_in)) - wanted.keys()) if nothing_else_in else []
        if check and (stale or left):
            names = ", ".join(str(path) for path in (*stale, *left))
            raise click.ClickException(f"{names}: not what is generated; run `make generate`")
        for path in stale:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path], encoding="utf-8")
            click.echo(f"wrote {path}")
        for path in left:
            path.unlink()
            click.echo(f"removed {path}")

    return main
