from __future__ import annotations

import sys
from pathlib import Path

import pytest

from flowkiln.loading import FlowLoadError, load_file

ONE = "from flowkiln import Flow\nflow = Flow('one')\n"


def write(path: Path, text: str) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


class TestFindingTheFlow:
    def test_exactly_one(self, tmp_path: Path) -> None:
        """The only flow is taken, also if it has two names."""
        with load_file(write(tmp_path / "kiln_one.py", ONE + "again = flow\n")) as loaded:
            assert loaded.flow.name == loaded.name == "one"

    def test_by_name(self, tmp_path: Path) -> None:
        """Of several flows one can be named."""
        path = write(tmp_path / "kiln_two.py", ONE + "other = Flow('two')\n")
        with load_file(f"{path}:other") as loaded:
            assert loaded.name == "two"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("x = 1\n", "there is no flow at module level"),
            (ONE + "b = Flow('two')\n", r"there are 2 flows at module level; name one: .*:flow or .*:b"),
            ("1 / 0\n", "importing it raised ZeroDivisionError: division by zero"),
        ],
    )
    def test_errors(self, tmp_path: Path, text: str, said: str) -> None:
        """The sentence says what is wrong with the file, and nothing of it stays imported."""
        with pytest.raises(FlowLoadError, match=said):
            load_file(write(tmp_path / "kiln_bad.py", text))
        assert "kiln_bad" not in sys.modules
        assert str(tmp_path) not in sys.path

    def test_a_name_that_is_no_flow(self, tmp_path: Path) -> None:
        """The flows that there are are named."""
        path = write(tmp_path / "kiln_one.py", ONE)
        with pytest.raises(FlowLoadError, match=r"'Flow' is no flow .it is type.; flows here: flow"):
            load_file(f"{path}:Flow")
        with pytest.raises(FlowLoadError, match=r"'nothing' is no flow .there is no such attribute."):
            load_file(f"{path}:nothing")

    def test_a_missing_file(self, tmp_path: Path) -> None:
        """The path is named."""
        with pytest.raises(FlowLoadError, match=r"nowhere\.py: there is no such file"):
            load_file(tmp_path / "nowhere.py")

    def test_the_name_of_a_module_that_is_there(self, tmp_path: Path) -> None:
        """A file called json.py must not take the place of Python's, nor be passed over in silence."""
        with pytest.raises(FlowLoadError, match=r"a module 'json' is imported already .*; give the file another name"):
            load_file(write(tmp_path / "json.py", ONE))


class TestModules:
    def test_neighbours_can_be_imported(self, tmp_path: Path) -> None:
        """As with `python flow.py`, modules beside the file are found."""
        write(tmp_path / "kiln_beside.py", "NAME = 'beside'\n")
        text = "import kiln_beside\nfrom flowkiln import Flow\nflow = Flow(kiln_beside.NAME)\n"
        with load_file(write(tmp_path / "kiln_one.py", text)) as loaded:
            assert loaded.name == "beside"

    def test_inside_of_a_package(self, tmp_path: Path) -> None:
        """Relative imports of a file in a package work."""
        write(tmp_path / "kiln_package" / "__init__.py", "")
        write(tmp_path / "kiln_package" / "names.py", "NAME = 'inside'\n")
        text = "from .names import NAME\nfrom flowkiln import Flow\nflow = Flow(NAME)\n"
        with load_file(write(tmp_path / "kiln_package" / "flows.py", text)) as loaded:
            assert loaded.name == "inside"

    def test_two_files_of_one_name(self, tmp_path: Path) -> None:
        """One after the other, `flow.py` of two folders are two flows."""
        names = []
        for name in ("a", "b"):
            path = write(tmp_path / name / "kiln_flow.py", f"from flowkiln import Flow\nflow = Flow('{name}')\n")
            with load_file(path) as loaded:
                names.append(loaded.name)
        assert names == ["a", "b"]
