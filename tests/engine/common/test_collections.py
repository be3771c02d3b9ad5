from __future__ import annotations

import copy
import json
import pickle
from collections import namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowkiln.utilities.collections import DotDict, as_nested_dict, flatten_seq, merge_dicts

Point = namedtuple("Point", ["x", "y"])


class TestDotDict:
    def test_items_are_attributes(self) -> None:
        """Reading, writing and deleting works either way."""
        d = DotDict({"a": 1}, b=2)
        d.c = 3
        d["e"] = 5
        assert (d.a, d["b"], d["c"], d.e) == (1, 2, 3, 5)
        del d.a
        del d["b"]
        assert d == {"c": 3, "e": 5}
        assert {"c", "e"} <= set(dir(d))

    def test_missing(self) -> None:
        """A missing key is a KeyError, a missing attribute an AttributeError."""
        d = DotDict()
        with pytest.raises(KeyError):
            d["a"]
        with pytest.raises(AttributeError, match="'a'"):
            d.a  # noqa: B018
        with pytest.raises(AttributeError, match="'a'"):
            del d.a

    def test_any_hashable_is_a_key(self) -> None:
        """Keys need not be names."""
        assert DotDict({1: "a", (2, 3): "b"})[(2, 3)] == "b"

    @pytest.mark.parametrize("key", ["keys", "items", "get", "update", "copy", "to_dict"])
    def test_method_names_are_protected(self, key: str) -> None:
        """A key that would hide a method is refused on every way in, unless the class says otherwise."""

        class Careless(DotDict):
            __protect_critical_keys__ = False

        d = DotDict()
        for attempt in (
            lambda: d.__setitem__(key, 1),
            lambda: setattr(d, key, 1),
            lambda: d.update({key: 1}),
            lambda: DotDict({key: 1}),
            lambda: d.setdefault(key, 1),
        ):
            with pytest.raises(ValueError, match=key):
                attempt()
        assert Careless({key: 1})[key] == 1

    def test_is_a_mapping_like_any_other(self) -> None:
        """Equality with dicts, `**`, shallow copies, repr."""
        inner = [1]
        d = DotDict(b=inner, a=1)
        assert d == {"a": 1, "b": [1]}
        assert dict(**d) == {"a": 1, "b": [1]}
        assert repr(d) == "<DotDict: 'a', 'b'>"
        assert repr(DotDict()) == "<DotDict>"
        for copied in (d.copy(), copy.copy(d)):
            assert type(copied) is DotDict
            assert copied.b is inner
        assert pickle.loads(pickle.dumps(d)) == d
        with pytest.raises(TypeError):
            json.dumps(d)

    def test_to_dict(self) -> None:
        """Nested DotDicts become dicts, in lists too."""
        plain = DotDict(a=DotDict(b=1), c=[DotDict(d=2)]).to_dict()
        assert plain == {"a": {"b": 1}, "c": [{"d": 2}]}
        assert type(plain) is type(plain["a"]) is type(plain["c"][0]) is dict


class TestNestedDicts:
    def test_merge(self) -> None:
        """Levels are merged, the second wins, and neither is modified."""
        first: dict[str, Any] = {"a": {"x": 1, "y": 2}, "b": 1}
        second = {"a": {"y": 3}, "b": {"z": 4}}
        assert merge_dicts(first, second) == {"a": {"x": 1, "y": 3}, "b": {"z": 4}}
        assert first == {"a": {"x": 1, "y": 2}, "b": 1}
        assert type(merge_dicts(DotDict(first), second)) is DotDict

    def test_as_nested_dict(self) -> None:
        """Mappings are converted through lists, tuples (named ones too) and sets."""
        nested = as_nested_dict({"a": [{"b": 1}], "c": ({"d": 2},), "e": Point({"f": 3}, 4), "g": {5}})
        assert nested.a[0].b == 1
        assert nested.c[0].d == 2
        assert nested.e == Point({"f": 3}, 4)
        assert nested.e.x.f == 3
        assert nested.g == {5}
        assert type(as_nested_dict(nested, dict)["a"][0]) is dict


class TestFlattenSeq:
    def test_leaves_in_order(self) -> None:
        """Nested iterables are flattened, strings and bytes are leaves."""
        assert list(flatten_seq([1, (2, [3]), "ab", b"cd", {4}])) == [1, 2, 3, "ab", b"cd", 4]

    @pytest.mark.parametrize("wrong", [1, None, "abc", b"abc"])
    def test_not_iterable(self, wrong: Any) -> None:
        """What has no leaves is refused, at once."""
        with pytest.raises(TypeError):
            flatten_seq(wrong)

    @given(st.recursive(st.integers(), lambda inner: st.lists(inner, max_size=4)))
    def test_depth_does_not_matter(self, nested: Any) -> None:
        """However deep, the leaves are those that repr shows."""
        leaves = [int(word) for word in repr(nested).replace("[", " ").replace("]", " ").replace(",", " ").split()]
        assert list(flatten_seq([nested])) == leaves
