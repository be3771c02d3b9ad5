"""YAML as Kubernetes reads it."""

from __future__ import annotations

from typing import Any

import yaml

_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """Leaves dates as text, so that documents hold nothing but what JSON knows."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuse a key that is given twice, as kustomize and Flux do: the last one would silently win."""
        node = super().compose_mapping_node(anchor)
        first: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE and first.setdefault(key.value, key) is not key:
                before = first[key.value].start_mark.line + 1
                problem = f'the key "{key.value}" is given in line {before} already'
                raise yaml.composer.ComposerError(None, None, problem, key.start_mark)
        return node


def read_yaml(text: str) -> list[Any]:
    """Give all documents in the text but empty ones; raises yaml.YAMLError, which `complaint` puts into words."""
    return [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]


def complaint(error: yaml.YAMLError | UnicodeDecodeError) -> str:
    """Say in one line what is wrong with a text, and where."""
    match error:
        case yaml.MarkedYAMLError(problem=str(problem), problem_mark=yaml.Mark() as mark):
            begun = error.context_mark
            within = f", {error.context} that begins in line {begun.line + 1}" if error.context and begun else ""
            return f"line {mark.line + 1}, column {mark.column + 1}{within}: {problem}"
        case yaml.reader.ReaderError(position=position, reason=reason):
            return f"character {position + 1}: {reason}"
        case _:
            return " ".join(str(error).split())
