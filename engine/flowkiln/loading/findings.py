"""Findings: problems of a document, with their position in a file."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flowkiln.api.validation import Problem
from flowkiln.common.safe_text import encodable
from flowkiln.loading.source_nodes import SourceNode
from flowkiln.loading.yaml_events import YamlError
from flowkiln.loading.yaml_scalars import ScalarError, as_json, resolve


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem and its document (empty for the file as a whole).

    Line and column count from 1; they are None if the position is unknown, as in JSON files.
    """

    file: Path
    document: str
    problem: Problem
    line: int | None = None
    column: int | None = None

    @classmethod
    def at(cls, written: SourceNode | None, file: Path, document: str, problem: Problem) -> Finding:
        """Make a finding at the position of the problem's field, quoting the source text."""
        if written is None:
            return cls(file, document, problem)
        spot = written.locate(problem.field)
        return cls(file, document, _quoted(problem, spot), spot.line, spot.column)

    @classmethod
    def of_yaml(cls, file: Path, error: YamlError) -> Finding:
        """Make a finding of a text that cannot be parsed."""
        return cls(file, "", Problem("", f"cannot be read: {error.problem}"), error.line, error.column)

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        sentence = self.problem.sentence if self.problem.field else self.problem.message
        return encodable(": ".join(filter(None, [place, self.document, sentence])))

    def to_json(self) -> dict[str, Any]:
        """Return the object that `flowkiln lint --json` prints."""
        return {
            "file": encodable(str(self.file)),
            "document": self.document or None,
            "field": self.problem.field or None,
            "message": self.problem.message,
            "line": self.line,
            "column": self.column,
        }


def _quoted(problem: Problem, spot: SourceNode) -> Problem:
    """Return the problem with the source text of a key or value that YAML reads as another type, such as 0644."""
    if spot.key is not None:
        note = f'the key is written {spot.key}: write "{spot.key}", in quotes'
        return replace(problem, message=f"{problem.message}; {note}")
    text = spot.text
    if text is None:
        return problem
    try:
        value = as_json(resolve(text))
    except ScalarError:
        return problem
    shown = repr(value)
    if isinstance(value, str) or not problem.message.startswith(f"{shown} "):
        return problem
    rest = problem.message.removeprefix(shown)
    read = "" if text == json.dumps(value) else f", which YAML reads as {json.dumps(value)},"
    advice = f'; for text, write "{text}"' if rest.endswith("is not of type 'string'") else ""
    return replace(problem, message=f"{text}{read}{rest}{advice}")
