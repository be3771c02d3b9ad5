from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkiln.cli.output.lines import LINE_LIMIT, LineSplitter


def split(*chunks: bytes) -> list[str]:
    """Feed chunks, then end."""
    splitter = LineSplitter()
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return [*lines, *splitter.end()]


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (b"", []),
        (b"a\nb\n", ["a", "b"]),
        (b"\n\n", ["", ""]),
        (b"a\nno newline", ["a", "no newline"]),
        (b"windows\r\nlines\r\n", ["windows", "lines"]),
        (b"\r 10%\r 50%\r100%\n", ["100%"]),
        (b"\r 10%\r 50%", [" 50%"]),
        (b"10%\r50%\r", ["50%"]),
        (b"50%\r\nnext", ["50%", "next"]),
        (b"caf\xe9\n", ["caf\N{REPLACEMENT CHARACTER}"]),
        ("käse".encode(), ["käse"]),
        (b"\x00\xff\xfe\n", ["\x00\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"]),
    ],
)
class TestLines:
    def test_at_once(self, written: bytes, lines: list[str]) -> None:
        """Each line comes out as a terminal would show it in the end, also the last one without a newline."""
        assert split(written) == lines

    def test_byte_by_byte(self, written: bytes, lines: list[str]) -> None:
        """How the bytes are cut makes no difference."""
        assert split(*(bytes([byte]) for byte in written)) == lines


@given(st.lists(st.binary(max_size=40)))
def test_cuts(chunks: list[bytes]) -> None:
    """Whatever is written and however it is cut, the lines are the same."""
    assert split(*chunks) == split(b"".join(chunks))


def test_an_enormous_line() -> None:
    """A line of megabytes comes out in parts and is not kept; nothing of it is lost."""
    splitter = LineSplitter()
    told = [line for _ in range(100) for line in splitter.feed(b"x" * 10_000)]
    assert len(told) > 50
    assert all(len(line) <= LINE_LIMIT for line in told)
    told += splitter.feed(b"\n")
    assert sum(map(len, told)) == 1_000_000
    assert all(told)
