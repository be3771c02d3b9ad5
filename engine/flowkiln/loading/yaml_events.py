"""Parse YAML text into events; syntax errors have a position."""

from __future__ import annotations

import re
from typing import NoReturn

from yaml import MarkedYAMLError
from yaml.error import Mark
from yaml.events import Event
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.scanner import Scanner

from flowkiln.common.exceptions import FlowkilnError

_LINE_BREAKS = "\r\n\x85\u2028\u2029"
_BAD_SEPARATOR = re.compile(r"^---(?![ \t\r]*(?:#.*)?$).*", re.MULTILINE)


class YamlError(FlowkilnError):
    """A text is not YAML, or not accepted by Kubernetes. Lines and columns count from 1."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {problem}")
        self.problem = problem
        self.line = line
        self.column = column


class Events(Reader, Scanner, Parser):
    """PyYAML's parser that allows tabs where Kubernetes' parser does: between words of one line."""

    def __init__(self, text: str) -> None:
        check_separators(text)
        try:
            Reader.__init__(self, text)
        except ReaderError as error:
            line, column = place(text, error.position)
            raise YamlError(f"the character U+{ord(text[error.position]):04X} is not allowed", line, column) from None
        Scanner.__init__(self)
        Parser.__init__(self)

    def next_event(self) -> Event:
        """Return the next event.

        Raises:
            YamlError: the next part of the text is not YAML.
        """
        try:
            event: Event | None = self.get_event()  # type: ignore[no-untyped-call]
        except MarkedYAMLError as error:
            _raise(error)
        assert event is not None, "nobody reads on after the end of the stream"  # noqa: S101
        return event

    def scan_to_next_token(self) -> None:
        """Skip blanks, comments, line breaks, and the byte order mark of an appended file."""
        super().scan_to_next_token()
        while self._is_blank_here(self.peek()):
            self.forward()
            super().scan_to_next_token()

    def scan_plain_spaces(self, indent: int, start_mark: Mark) -> list[str]:
        """Skip the whitespace between the words of a scalar without quotes, and return its meaning."""
        length = 0
        while self.peek(length) in (" ", "\t"):
            length += 1
        blanks: str = self.prefix(length)
        if "\t" in blanks:
            self.forward(length)
            if self.peek() not in _LINE_BREAKS:
                return [blanks]
        return super().scan_plain_spaces(indent, start_mark) or []

    def _is_blank_here(self, character: str) -> bool:
        if character == "\t":
            return bool(self.flow_level) or not self.allow_simple_key
        return character == "\ufeff" and self.column == 0


def check_separators(text: str) -> None:
    """Raise YamlError if a line begins with --- and continues: Kubernetes splits the text there before it parses it."""
    if found := _BAD_SEPARATOR.search(text):
        problem = f'"{found[0].rstrip()[:40]}" is not a document separator; write --- on a line of its own'
        raise YamlError(problem, *place(text, found.start()))


def place(text: str, position: int) -> tuple[int, int]:
    """Return line and column of a position in a text, both from 1."""
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def _raise(error: MarkedYAMLError) -> NoReturn:
    mark = error.problem_mark or error.context_mark
    within = ""
    if error.context and error.context_mark and error.context_mark is not mark:
        within = f", {error.context} that begins in line {error.context_mark.line + 1}"
    problem = f"{error.problem or 'the text is no YAML'}{within}"
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    raise YamlError(problem, line, column) from None
