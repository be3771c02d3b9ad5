"""`flowkiln lint`: check documents as the operator does, before they are applied."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowkiln.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from flowkiln.loading.findings import Finding


@click.command(short_help="Check Flow and FlowRun documents without a cluster.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON, for editors and CI.")
def lint(files: tuple[Path, ...], as_json: bool) -> None:
    """Check Flows and FlowRuns in YAML files as the operator does, and flows in Python files.

    All files count as one set: a FlowRun's parameters are compared with its Flow if one of the files has it, and if
    there are Flows, each flowRef must name one of them. The code of a Flow is not imported. A Python file is imported:
    its code runs, and exceptions are findings.

    --json prints a list of objects with file, document, field, message, line and column; unknown values are null. Exit
    code 0: no findings; 2: findings.
    """
    from flowkiln.cli.console import ResilientStream

    flows, runs, findings = _check(files)
    if as_json:
        text = json.dumps([finding.to_json() for finding in findings], indent=2)
    elif findings:
        text = "\n".join(map(str, findings))
    else:
        text = f"{_count(flows, 'Flow')} and {_count(runs, 'FlowRun')} are valid."
    stream = ResilientStream(sys.stdout)
    stream.write(f"{text}\n")
    stream.flush()
    if findings:
        raise SystemExit(ExitCode.INVALID)


def _check(files: tuple[Path, ...]) -> tuple[int, int, list[Finding]]:
    """Return the numbers of Flows and FlowRuns, and the findings."""
    from flowkiln.loading.document_checks import check_documents
    from flowkiln.loading.documents import read_documents
    from flowkiln.loading.python_checks import check_python

    scripts = [file for file in files if file.suffix == ".py"]
    documents = read_documents(file for file in files if file.suffix != ".py")
    findings = check_documents(documents)
    flows = len(documents.flows)
    for script in scripts:
        with redirect_stdout(sys.stderr):  # the output of the code is not a finding
            number, found = check_python(script)
        flows += number
        findings += found
    return flows, len(documents.runs), findings


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
