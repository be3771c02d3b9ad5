"""Convert YAML events into JSON values, in one pass with bounded work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NoReturn

from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from flowkiln.loading.source_nodes import SourceNode
from flowkiln.loading.yaml_events import Events, YamlError
from flowkiln.loading.yaml_scalars import MERGE_TAG, Scalar, ScalarError, as_json, as_key, resolve, resolve_tagged

MAX_DEPTH = 100
"""Maximum nesting. The operator accepts more than twice as much, and people need far less."""

_FEW = 400_000
_MANY = 4_000_000


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document: a JSON value, and the positions of its parts. `written` is None for JSON text."""

    value: Any
    written: SourceNode | None


@dataclass(frozen=True, slots=True)
class _Node:
    """A value with the cost of copying it: its number of nodes and its depth."""

    value: Any
    written: SourceNode
    size: int = 1
    height: int = 0
    scalar: Scalar = None
    """The value of a scalar before the conversion to JSON, used for keys."""
    is_mapping: bool = False
    is_scalar: bool = False


class ValueReader:
    """Read the documents of one text, each with its own anchors."""

    def __init__(self, text: str) -> None:
        self._events = Events(text)
        self._anchors: dict[str, _Node | None] = {}
        self._nodes = 0
        self._nodes_of_aliases = 0

    def documents(self) -> list[YamlDocument]:
        """Read all documents except empty ones.

        Raises:
            YamlError: the text is not YAML, or not accepted by Kubernetes.
        """
        documents: list[YamlDocument] = []
        while True:
            event = self._events.next_event()
            match event:
                case StreamStartEvent() | DocumentEndEvent():
                    continue
                case StreamEndEvent():
                    return documents
                case DocumentStartEvent(version=version, tags=tags) if version or tags:
                    _fail(event, "Kubernetes does not read directives such as %YAML; omit them")
                case DocumentStartEvent():
                    self._anchors = {}
                    self._nodes = self._nodes_of_aliases = 0
                case _:
                    node = self._node(event, 0)
                    if node.value is not None:
                        documents.append(YamlDocument(node.value, node.written))

    def _node(self, event: Event, depth: int, *, is_key: bool = False) -> _Node:
        if isinstance(event, AliasEvent):
            return self._alias(event, depth, is_key=is_key)
        self._count(event, 1)
        anchor: str | None = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = None
        match event:
            case ScalarEvent():
                node = _scalar(event, is_key=is_key)
            case SequenceStartEvent():
                node = self._sequence(event, _deeper(event, depth))
            case _:
                node = self._mapping(event, _deeper(event, depth))
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _sequence(self, event: Event, depth: int) -> _Node:
        values: list[Any] = []
        items: list[SourceNode] = []
        size, height = 1, 0
        while not isinstance(following := self._events.next_event(), SequenceEndEvent):
            node = self._node(following, depth)
            values.append(node.value)
            items.append(node.written)
            size += node.size
            height = max(height, node.height)
        return _Node(values, SourceNode(*_place(event), parts=items), size, height + 1)

    def _mapping(self, event: Event, depth: int) -> _Node:
        values: dict[str, Any] = {}
        parts: dict[str, SourceNode] = {}
        lines: dict[str, int] = {}
        size, height = 1, 0
        while not isinstance(at_key := self._events.next_event(), MappingEndEvent):
            if _is_merge(at_key):
                merged, node_size, node_height = self._merged(depth)
                for source in merged:
                    values.update(source.value)
                    if isinstance(source.written.parts, dict):
                        parts.update(source.written.parts)
            else:
                key = self._key(at_key, depth)
                if key in lines:
                    _fail(at_key, f'the key "{key}" is given in line {lines[key]} already')
                line, column = _place(at_key)
                lines[key] = line
                node = self._node(self._events.next_event(), depth)
                values[key] = node.value
                parts[key] = node.written.moved_to(line, column, _key_as_written(at_key, key))
                node_size, node_height = node.size + 1, node.height
            size += node_size
            height = max(height, node_height)
        return _Node(values, SourceNode(*_place(event), parts=parts), size, height + 1, is_mapping=True)

    def _key(self, event: Event, depth: int) -> str:
        node = self._node(event, depth, is_key=True)
        if not node.is_scalar:
            _fail(event, "a key must be text; a list or a mapping cannot be one")
        try:
            return as_key(node.scalar)
        except ScalarError as error:
            _fail(event, str(error))

    def _merged(self, depth: int) -> tuple[list[_Node], int, int]:
        """Read the value of the key <<: a mapping, or a list of mappings, of which the first wins."""
        event = self._events.next_event()
        if isinstance(event, SequenceStartEvent):
            nodes = []
            while not isinstance(following := self._events.next_event(), SequenceEndEvent):
                nodes.append(self._mergeable(following, depth))
        else:
            nodes = [self._mergeable(event, depth)]
        size, height = sum(node.size for node in nodes), max((node.height for node in nodes), default=0)
        return nodes[::-1], size, height

    def _mergeable(self, event: Event, depth: int) -> _Node:
        node = self._node(event, depth)
        if not node.is_mapping:
            _fail(event, "the value of << must be a mapping or a list of mappings")
        return node

    def _alias(self, event: AliasEvent, depth: int, *, is_key: bool) -> _Node:
        name = event.anchor
        if name not in self._anchors:
            _fail(event, f'there is no anchor "{name}" before this alias')
        node = self._anchors[name]
        if node is None:
            _fail(event, f'the anchor "{name}" contains itself')
        if depth + node.height > MAX_DEPTH:
            _fail(event, _TOO_DEEP)
        self._nodes_of_aliases += node.size
        self._count(event, node.size + 1)
        written = node.written.moved_to(*_place(event))
        value = _copied(node.value)
        if node.is_scalar and not is_key:
            value = _as_value(event, node.scalar)  # the anchor may be that of a key
        return replace(node, value=value, written=written, size=node.size + 1)

    def _count(self, event: Event, nodes: int) -> None:
        """Reject a document with too large a share of aliases, with the limits of Kubernetes."""
        self._nodes += nodes
        if self._nodes_of_aliases <= 100 or self._nodes <= 1000:
            return
        if self._nodes_of_aliases / self._nodes > _allowed_share(self._nodes):
            _fail(event, "document contains excessive aliasing: its aliases multiply their content")


_TOO_DEEP = f"the document is nested more than {MAX_DEPTH} levels deep"


def _allowed_share(nodes: int) -> float:
    """Return the share of nodes allowed from aliases: 99 % in small documents, 10 % in large ones."""
    over = min(max(nodes - _FEW, 0) / (_MANY - _FEW), 1.0)
    return 0.99 - 0.89 * over


def _scalar(event: ScalarEvent, *, is_key: bool) -> _Node:
    text: str = event.value
    is_plain = event.tag is None and event.implicit[0]
    try:
        scalar = _meaning(event, text, is_plain)
    except ScalarError as error:
        _fail(event, str(error))
    value = scalar if is_key else _as_value(event, scalar)
    if isinstance(value, str):
        _check_characters(event, value)
    written = SourceNode(*_place(event), text=text if is_plain else None)
    return _Node(value, written, scalar=scalar, is_scalar=True)


def _key_as_written(event: Event, key: str) -> str | None:
    text = event.value if isinstance(event, ScalarEvent) else key
    return text if text != key else None


def _as_value(event: Event, scalar: Scalar) -> Scalar:
    try:
        return as_json(scalar)
    except ScalarError as error:
        _fail(event, str(error))


def _copied(value: Any) -> Any:
    """Return a copy, so changes do not affect other uses of the anchor."""
    match value:
        case dict():
            return {key: _copied(part) for key, part in value.items()}
        case list():
            return [_copied(part) for part in value]
        case _:
            return value


def _meaning(event: ScalarEvent, text: str, is_plain: bool) -> Scalar:
    if is_plain:
        return resolve(text)
    return text if event.tag in (None, "!") else resolve_tagged(event.tag, text)


def _check_characters(event: Event, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        escape = text[error.start].encode(errors="backslashreplace").decode()
        _fail(event, f"{escape} is half a character (a lone surrogate); write the character itself")


def _is_merge(event: Event) -> bool:
    if not isinstance(event, ScalarEvent) or event.value != "<<":
        return False
    return event.tag == MERGE_TAG or (event.tag is None and bool(event.implicit[0]))


def _deeper(event: Event, depth: int) -> int:
    if depth >= MAX_DEPTH:
        _fail(event, _TOO_DEEP)
    return depth + 1


def _place(event: Event) -> tuple[int, int]:
    mark = event.start_mark
    assert mark is not None, "the parser gives each event a position"  # noqa: S101
    return mark.line + 1, mark.column + 1


def _fail(event: Event, problem: str) -> NoReturn:
    raise YamlError(problem, *_place(event))
