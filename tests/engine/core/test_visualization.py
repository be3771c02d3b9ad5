from __future__ import annotations

import builtins
import re
import sys
from typing import Any

import pytest

from flowkiln import Flow, Task
from flowkiln.core.visualization import draw
from flowkiln.engine.state import Failed, Mapped, Success


class Add(Task):
    def run(self, x: int) -> int:
        """Add one."""
        return x + 1


def line(source: str, start: str) -> str:
    """Find the line of the drawing that begins like this."""
    return next(row.strip() for row in source.splitlines() if row.strip().startswith(start))


class TestDraw:
    def test_nodes_and_edges(self) -> None:
        """Tasks are ellipses, mapped ones boxes; edges have their keys and are dashed when mapped."""
        a, b, c = Task(name="a"), Add(name="b"), Task(name="c")
        with Flow("f") as flow:
            b.bind(a, mapped=True)
            c.set_upstream(b)
        source = draw(flow).source
        assert line(source, "a [") == "a [label=a shape=ellipse]"
        assert line(source, "b [") == 'b [label="b <map>" shape=box]'
        assert line(source, "a -> b") == "a -> b [label=x style=dashed]"
        assert line(source, "b -> c") == "b -> c"

    def test_colours_of_states(self) -> None:
        """With a flow state each task is filled with its state's colour, unknown ones with a grey."""
        a, b = Task(name="a"), Task(name="b")
        flow = Flow("f", tasks=[a, b])
        source = draw(flow, Success(result={a: Failed()})).source
        assert f'"{Failed.color}80"' in line(source, "a [")
        assert '"#00000080"' in line(source, "b [")

    def test_children_are_nodes_of_their_own(self) -> None:
        """Each mapped child has its state's colour; children of two mapped tasks are joined one to one."""
        a, b, c = Task(name="a"), Add(name="b"), Add(name="c")
        with Flow("f") as flow:
            b.bind(a, mapped=True)
            c.bind(b, mapped=True)
        children = Mapped(map_states=[Success(), Failed()])
        source = draw(flow, Success(result={a: Success(), b: children, c: children})).source
        assert f'"{Success.color}80"' in line(source, '"b[0]" [')
        assert f'"{Failed.color}80"' in line(source, '"b[1]" [')
        joints = re.findall(r"^\s*(\S+) -> (\S+)", source, re.MULTILINE)
        assert set(joints) == {("a", '"b[0]"'), ("a", '"b[1]"'), ('"b[0]"', '"c[0]"'), ('"b[1]"', '"c[1]"')}

    def test_without_graphviz(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The error names the extra to install."""
        monkeypatch.setitem(sys.modules, "graphviz", None)
        with pytest.raises(ImportError, match=r"flowkiln\[viz\]"):
            Flow("f").visualize()


class TestVisualize:
    @pytest.fixture
    def opened(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Take note of what would be opened: the layout program and the viewer are the desktop's."""
        import graphviz

        files: list[str] = []
        monkeypatch.setattr(graphviz.Digraph, "view", lambda self, filename: files.append(filename))
        return files

    def test_outside_a_notebook_it_is_opened(self, opened: list[str]) -> None:
        """The drawing is rendered to a temporary file and opened."""
        drawing = Flow("f", tasks=[Task(name="a")]).visualize()
        assert len(opened) == 1
        assert "a [" in drawing.source

    def test_a_broken_ipython_is_no_notebook(self, opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever goes wrong with IPython, the drawing is opened."""
        usual = builtins.__import__

        def broken(name: str, *args: Any, **kwargs: Any) -> Any:
            if name == "IPython":
                raise RuntimeError("broken")
            return usual(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", broken)
        Flow("f").visualize()
        assert len(opened) == 1
