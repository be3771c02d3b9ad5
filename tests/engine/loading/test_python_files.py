from __future__ import annotations

import builtins
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
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
            ("import sys\nsys.exit(0)\n", "importing it raised SystemExit: 0$"),
            ("import sys\nsys.exit()\n", "importing it raised SystemExit$"),
            ("raise KeyboardInterrupt\n", "importing it raised KeyboardInterrupt$"),
            ("raise GeneratorExit('x')\n", "importing it raised GeneratorExit: x$"),
            ("class Panic(BaseException): pass\nraise Panic('x')\n", "importing it raised Panic: x$"),
            (
                "class Odd(Exception):\n    def __str__(self): return 1 / 0\nraise Odd\n",
                "importing it raised Odd: <Odd whose str raises ZeroDivisionError>",
            ),
            ("import kiln_nowhere\n", "importing it raised ModuleNotFoundError: No module named 'kiln_nowhere'"),
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
        with pytest.raises(
            FlowLoadError, match=r"it hides the module 'json' that Python needs.*; give the file another name"
        ):
            load_file(write(tmp_path / "json.py", ONE))


class TestCtrlC:
    def test_it_ends_the_import(self, tmp_path: Path) -> None:
        """A person's Ctrl-C is no fault of the module and passes; the handler is as before."""
        text = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n" + ONE
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            load_file(write(tmp_path / "kiln_interrupted.py", text))
        assert signal.getsignal(signal.SIGINT) is before

    def test_in_another_thread(self, tmp_path: Path) -> None:
        """Ctrl-C belongs to the main thread; elsewhere a KeyboardInterrupt is the module's own."""
        path = write(tmp_path / "kiln_thread.py", ONE)
        bad = write(tmp_path / "kiln_bad_thread.py", "raise KeyboardInterrupt\n")
        with ThreadPoolExecutor(1) as pool:
            with pool.submit(load_file, path).result() as loaded:
                assert loaded.name == "one"
            with pytest.raises(FlowLoadError, match="importing it raised KeyboardInterrupt"):
                pool.submit(load_file, bad).result()

    def test_another_handler_is_left_alone(self, tmp_path: Path) -> None:
        """What a program's own handler raises passes."""

        def handle(number: int, frame: object) -> None:
            raise KeyboardInterrupt("mine")

        before = signal.signal(signal.SIGINT, handle)
        try:
            text = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n" + ONE
            with pytest.raises(KeyboardInterrupt, match="mine"):
                load_file(write(tmp_path / "kiln_handled.py", text))
            assert signal.getsignal(signal.SIGINT) is handle
        finally:
            signal.signal(signal.SIGINT, before)


class TestNames:
    @pytest.mark.parametrize("name", ["kiln-dash.py", "2kiln.py", "kiln with blanks.py", "kïln.py", "kiln+.py"])
    def test_what_can_be_imported(self, tmp_path: Path, name: str) -> None:
        """A module may have a name that no import statement can say."""
        with load_file(write(tmp_path / name, ONE)) as loaded:
            assert loaded.name == "one"

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("flow.v2.py", r"give the file a name without dots, such as flow_v2\.py"),
            ("v1.2/__init__.py", r"give the folder a name without dots, such as v1_2"),
            ("v1.2/flow.py", r"give the folder a name without dots, such as v1_2"),
        ],
    )
    def test_dots(self, tmp_path: Path, name: str, said: str) -> None:
        """A dot separates packages, here and on workers."""
        path = write(tmp_path / name, ONE)
        if path.parent != tmp_path:
            write(path.parent / "__init__.py", ONE)
        with pytest.raises(FlowLoadError, match=said):
            load_file(path)

    def test_a_folder_that_is_no_package_may_have_dots(self, tmp_path: Path) -> None:
        """It is only the place where modules are."""
        with load_file(write(tmp_path / "v1.2" / "kiln_flow.py", ONE)) as loaded:
            assert loaded.name == "one"

    def test_a_package_is_imported_once(self, tmp_path: Path) -> None:
        """The file `__init__.py` is the package itself."""
        text = "import builtins\nbuiltins.kiln_times = getattr(builtins, 'kiln_times', 0) + 1\n" + ONE
        with load_file(write(tmp_path / "kiln_pack" / "__init__.py", text)) as loaded:
            assert loaded.name == "one"
        assert vars(builtins).pop("kiln_times") == 1


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
