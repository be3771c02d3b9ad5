"""Read YAML and JSON as Kubernetes does: these functions return what the API server would get."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flowkiln.common.json_text import NumberTooLargeError, check_characters, strict_decoder
from flowkiln.loading.yaml_events import YamlError, place
from flowkiln.loading.yaml_scalars import as_json
from flowkiln.loading.yaml_values import MAX_DEPTH, ValueReader, YamlDocument

__all__ = ["MAX_DEPTH", "YamlDocument", "YamlError", "read_text", "read_yaml"]

_BYTE_ORDER_MARK = "\ufeff"


def read_text(path: Path) -> str:
    """Read a file of UTF-8.

    Raises:
        OSError: the file cannot be read.
        YamlError: it is not UTF-8.
    """
    content = path.read_bytes()
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line, column = place(content[: error.start].decode(), error.start)
        raise YamlError("the text is not UTF-8; save it as UTF-8", line, column) from None


def read_yaml(text: str) -> list[YamlDocument]:
    """Read all documents except empty ones. A text that begins with { is JSON if it parses as JSON, as in kubectl.

    Raises:
        YamlError: the text is not YAML, or not accepted by Kubernetes.
    """
    if _begins_as_json(text):
        documents = _read_json(text)
        if documents is not None:
            return documents
    return ValueReader(text).documents()


def _begins_as_json(text: str) -> bool:
    return text.removeprefix(_BYTE_ORDER_MARK).lstrip().startswith("{")


def _read_json(text: str) -> list[YamlDocument] | None:
    """Read consecutive JSON values; return None to leave the text to the YAML reader."""
    decoder = strict_decoder(parse_int=lambda digits: as_json(_whole(digits)), parse_float=lambda t: as_json(float(t)))
    text = text.removeprefix(_BYTE_ORDER_MARK)
    documents: list[YamlDocument] = []
    begin = _begin(text, 0)
    try:
        while begin < len(text):
            value, end = decoder.raw_decode(text, begin)
            _check_depth(value, 0)
            documents.append(YamlDocument(value, None))
            begin = _begin(text, end)
        check_characters(text, [document.value for document in documents])
    except NumberTooLargeError as error:
        raise YamlError(str(error), *place(text, text.index(error.text))) from None
    except RecursionError:
        raise YamlError(f"the document is nested more than {MAX_DEPTH} levels deep", *place(text, begin)) from None
    except ValueError:
        return None
    return documents


def _begin(text: str, position: int) -> int:
    """Return the position of the next value."""
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _whole(digits: str) -> int | float:
    """Read an integer; a number too long for Python is a float, as in Go."""
    return int(digits) if len(digits) < 100 else float(digits)


def _check_depth(value: Any, depth: int) -> None:
    if isinstance(value, (dict, list)):
        if depth >= MAX_DEPTH:
            raise RecursionError
        for part in value.values() if isinstance(value, dict) else value:
            _check_depth(part, depth + 1)
