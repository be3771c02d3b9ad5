"""YAML as Kubernetes reads it."""

from __future__ import annotations

from typing import Any

import yaml

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Leaves dates as text, so that documents hold nothing but what JSON knows."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read_yaml(text: str) -> list[Any]:
    """Give all documents in the text but empty ones; raises yaml.YAMLError, which says line and column."""
    return [document for document in yaml.load_all(text, Loader=_Loader) if document is not None]
