from __future__ import annotations

import pytest
import yaml

from flowkiln.loading.yaml_text import read_yaml


class TestReadYaml:
    def test_dates_stay_text(self) -> None:
        """As for Kubernetes, a date is text; numbers, booleans and nulls are what they look like."""
        text = "{day: 2010-01-01, time: 2010-01-01T00:00:00Z, number: 2010, flag: true, none: null}"
        assert read_yaml(text) == [
            {"day": "2010-01-01", "time": "2010-01-01T00:00:00Z", "number": 2010, "flag": True, "none": None}
        ]

    def test_several_documents(self) -> None:
        """Empty ones are passed over."""
        assert read_yaml("---\na: 1\n---\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]

    def test_no_objects_are_made(self) -> None:
        """Tags that would call Python are refused."""
        with pytest.raises(yaml.YAMLError):
            read_yaml("!!python/object/apply:os.getcwd []")
