"""`flowkiln lint`: what the operator would say about documents, before they are applied."""

from __future__ import annotations

from pathlib import Path

import click

from flowkiln.cli.exit_codes import ExitCode


@click.command(short_help="Check Flow and FlowRun documents without a cluster.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
def lint(files: tuple[Path, ...]) -> None:
    """Check Flows and FlowRuns in YAML files as the operator does, in its words.

    No code is imported. A FlowRun's parameters are compared with its Flow if that is in one of the files.
    Exit code 0: nothing was found; 2: something was.
    """
    from flowkiln.loading.documents import check_documents, read_documents

    documents = read_documents(files)
    findings = check_documents(documents)
    for finding in findings:
        click.echo(str(finding))
    if findings:
        raise SystemExit(ExitCode.INVALID)
    click.echo(f"{_count(len(documents.flows), 'Flow')} and {_count(len(documents.runs), 'FlowRun')} are valid.")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
