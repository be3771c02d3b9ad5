from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from flowkiln.loading import FlowLoadError, InvalidSpecError, load_file
from flowkiln.loading.parameter_values import RawValue

from .builders import flow_document, in_namespace, run_document, write_documents

PARAMETERS = [{"name": "year", "schema": {"type": "integer"}}, {"name": "unit", "default": "celsius"}]
SOURCE = {"files": [{"path": "kiln_lib/units.py", "content": "def scale(x=1): return x\n"}]}


class TestYaml:
    def test_parameters_and_context(self, tmp_path: Path) -> None:
        """The caller's values win over the run's, and these over defaults; the run's context over the flow's."""
        flow = flow_document("x", parameters=PARAMETERS, context={"a": 1, "b": 1}, timeout="2h")
        run = run_document("x-1", flowRef={"name": "x"}, parameters={"year": 1}, context={"b": 2}, timeout="1m")
        with load_file(write_documents(tmp_path / "f.yaml", flow, run), parameters={"year": 2010}) as loaded:
            assert loaded.name == "x"
            assert loaded.parameters == {"year": 2010, "unit": "celsius"}
            assert loaded.context == {"a": 1, "b": 2}
            assert loaded.timeout == timedelta(minutes=1)

    def test_a_flow_alone(self, tmp_path: Path) -> None:
        """Without a FlowRun the one Flow runs, with the flow's own timeout."""
        file = write_documents(tmp_path / "f.yaml", flow_document("x", timeout="2h"))
        with load_file(file) as loaded:
            assert (loaded.name, loaded.parameters, loaded.timeout) == ("x", {}, timedelta(hours=2))

    def test_a_run_gets_the_flow_of_its_namespace(self, tmp_path: Path) -> None:
        """Of two flows with one name the run's own counts; one that is elsewhere only is told as such."""
        dev = in_namespace("dev", flow_document("x", context={"where": "dev"}))
        prod = in_namespace("prod", flow_document("x", context={"where": "prod"}))
        run = in_namespace("prod", run_document("r", flowRef={"name": "x"}))
        with load_file(write_documents(tmp_path / "f.yaml", dev, prod, run)) as loaded:
            assert loaded.context == {"where": "prod"}
        with pytest.raises(InvalidSpecError, match='the Flow "x" is in another namespace than the run, "prod"'):
            load_file(write_documents(tmp_path / "g.yaml", dev, run))
        with load_file(write_documents(tmp_path / "h.yaml", dev)) as loaded:
            assert loaded.name == "x"

    def test_a_run_says_which_flow(self, tmp_path: Path) -> None:
        """Of several Flows the one that the run refers to is taken, from whichever file."""
        flows = write_documents(tmp_path / "f.yaml", flow_document("x"), flow_document("z"))
        run = write_documents(tmp_path / "r.yaml", run_document("r", flowRef={"name": "z"}))
        with load_file(flows, run) as loaded:
            assert loaded.name == "z"

    def test_an_inline_flow(self, tmp_path: Path) -> None:
        """A run may carry its flow; it is then called as the run is."""
        run = run_document("r", flowSpec=flow_document("x")["spec"])
        with load_file(write_documents(tmp_path / "r.yaml", run)) as loaded:
            assert loaded.name == "r"

    def test_source_files(self, tmp_path: Path) -> None:
        """They can be imported until the end, and are gone then; folders need no __init__.py."""
        tasks = [{"name": "scale", "function": "kiln_lib.units:scale"}]
        file = write_documents(tmp_path / "f.yaml", flow_document("x", source=SOURCE, tasks=tasks))
        with load_file(file):
            folder = Path(sys.modules["kiln_lib.units"].__file__ or "").parents[1]
            assert str(folder) in sys.path
            assert os.environ["PYTHONPATH"].startswith(str(folder))
        assert not folder.exists()
        assert "kiln_lib.units" not in sys.modules
        assert str(folder) not in sys.path

    def test_nothing_stays_after_a_failure(self, tmp_path: Path) -> None:
        """A flow that cannot be built leaves no folder and no path behind."""
        before = list(sys.path), os.environ.get("PYTHONPATH")
        tasks = [{"name": "scale", "function": "kiln_lib.units:no"}]
        with pytest.raises(FlowLoadError):
            load_file(write_documents(tmp_path / "f.yaml", flow_document("x", source=SOURCE, tasks=tasks)))
        assert (list(sys.path), os.environ.get("PYTHONPATH")) == before

    def test_an_entrypoint_with_parameters_of_its_own(self, tmp_path: Path) -> None:
        """The code's parameters count too: one that it does not have is refused, its defaults are filled in."""
        content = "from flowkiln import Flow, Parameter\nflow = Flow('x', tasks=[Parameter('a', 1), Parameter('b')])\n"
        source = {"files": [{"path": "kiln_entry.py", "content": content}]}
        file = write_documents(tmp_path / "f.yaml", flow_document("x", source=source, entrypoint="kiln_entry:flow"))
        with load_file(file, parameters={"b": 2}) as loaded:
            assert loaded.parameters == {"a": 1, "b": 2}
        with pytest.raises(InvalidSpecError, match=r"parameters\.c: there is no parameter"):
            load_file(file, parameters={"b": 2, "c": 3})

    def test_all_problems_before_any_code(self, tmp_path: Path) -> None:
        """Whatever does not fit is said at once, one line each, and nothing has been imported."""
        tasks = [{"name": "scale", "function": "kiln_nowhere:f"}]
        file = write_documents(tmp_path / "f.yaml", flow_document("x", parameters=PARAMETERS, tasks=tasks))
        with pytest.raises(InvalidSpecError) as caught:
            load_file(file, parameters={"year": "old", "unti": 1})
        lines = str(caught.value).splitlines()
        assert {line.split(": ")[2] for line in lines} == {"parameters.year", "parameters.unti"}

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ({"year": "ten"}, "-p year=ten: 'ten' is not of type 'integer'"),
            ({"year": "5.5"}, "-p year=5.5: 5.5 is not of type 'integer'"),
            ({"year": "1", "yeer": "1"}, '-p yeer=1: there is no parameter "yeer"; did you mean "year"?'),
            ({"year": "1", "list": "[1]"}, "-p list=[1]: [0]: 1 is not of type 'string'"),
            ({"year": '{"a": 1, "a": 2}'}, '-p year={"a": 1, "a": 2}: the key "a" is given twice'),
            ({}, "f.yaml: Flow 'x': parameters.year: is required, and the run gives no value"),
        ],
    )
    @pytest.mark.parametrize("run", [[], [run_document("r", flowRef={"name": "x"}, parameters={"year": 1})]])
    def test_what_was_typed_is_named(
        self, tmp_path: Path, typed: dict[str, str], said: str, run: list[dict[str, object]]
    ) -> None:
        """Messages repeat the option; a FlowRun is named only where there is one, and is to blame."""
        declared = [*PARAMETERS, {"name": "list", "optional": True, "schema": {"items": {"type": "string"}}}]
        file = write_documents(tmp_path / "f.yaml", flow_document("x", parameters=declared), *run)
        given = {name: RawValue(text) for name, text in typed.items()}
        if run and not given:
            load_file(file, parameters=given).close()
            return
        with pytest.raises(InvalidSpecError) as caught:
            load_file(file, parameters=given)
        assert str(caught.value).removeprefix(f"{tmp_path}/") == said

    def test_typed_values_are_read_by_their_schemas(self, tmp_path: Path) -> None:
        """Text stays text, and 5.0 is an integer."""
        declared = [{"name": "day", "schema": {"type": "string"}}, {"name": "m", "schema": {"type": "integer"}}]
        file = write_documents(tmp_path / "f.yaml", flow_document("x", parameters=declared))
        with load_file(file, parameters={"day": RawValue("20200219"), "m": RawValue("5.0")}) as loaded:
            assert repr(loaded.parameters) == "{'day': '20200219', 'm': 5}"

    def test_two_flows_of_one_name(self, tmp_path: Path) -> None:
        """It is not guessed which one is meant."""
        file = write_documents(tmp_path / "f.yaml", flow_document("x"), flow_document("x"))
        with pytest.raises(InvalidSpecError, match='has a Flow "x" already'):
            load_file(file)

    @pytest.mark.parametrize(
        ("documents", "said"),
        [
            ([flow_document("x"), flow_document("z")], r"there are 2 Flows \(x, z\); add a FlowRun"),
            (
                [
                    flow_document("x"),
                    run_document("a", flowRef={"name": "x"}),
                    run_document("b", flowRef={"name": "x"}),
                ],
                r"there are 2 FlowRuns \(a, b\); give the file of one",
            ),
            (
                [flow_document("weather"), run_document("a", flowRef={"name": "wether"})],
                r'spec\.flowRef\.name: there is no Flow "wether"; did you mean "weather"\?; give the file of the Flow',
            ),
            ([run_document("a")], "FlowRun 'a': spec: exactly one of flowRef and flowSpec must be given"),
            ([{"kind": "Pod"}], "holds no Flow"),
        ],
    )
    def test_which_flow_is_not_plain(self, tmp_path: Path, documents: list[dict[str, object]], said: str) -> None:
        """It is said what is there, and what is missing."""
        with pytest.raises(InvalidSpecError, match=said):
            load_file(write_documents(tmp_path / "f.yaml", *documents))


class TestPython:
    FLOW = "from flowkiln import Flow, Parameter\nflow = Flow('x', tasks=[Parameter('a', 1), Parameter('b')])\n"

    def test_parameters(self, tmp_path: Path) -> None:
        """Defaults are filled in."""
        path = tmp_path / "kiln_parameters.py"
        path.write_text(self.FLOW)
        with load_file(path, parameters={"b": None}) as loaded:
            assert (loaded.parameters, loaded.context, loaded.timeout) == ({"a": 1, "b": None}, {}, None)

    def test_wrong_parameters(self, tmp_path: Path) -> None:
        """Unknown and missing ones are all named."""
        path = tmp_path / "kiln_parameters.py"
        path.write_text(self.FLOW)
        with pytest.raises(InvalidSpecError) as caught:
            load_file(path, parameters={"aa": 1})
        assert str(caught.value).splitlines() == [
            'flow \'x\': parameters.aa: there is no parameter "aa"; did you mean "a"?',
            "flow 'x': parameters.b: is required, and the run gives no value",
        ]

    def test_typed_values(self, tmp_path: Path) -> None:
        """Without schemas they are JSON if they parse, else text; problems repeat the option."""
        path = tmp_path / "kiln_parameters.py"
        path.write_text(self.FLOW)
        with load_file(path, parameters={"a": RawValue("6e12345"), "b": RawValue("[1]")}) as loaded:
            assert loaded.parameters == {"a": "6e12345", "b": [1]}
        with pytest.raises(InvalidSpecError) as caught:
            load_file(path, parameters={"aa": RawValue("1"), "b": RawValue('{"k": 1, "k": 2}')})
        assert str(caught.value).splitlines() == [
            'flow \'x\': -p aa=1: there is no parameter "aa"; did you mean "a"?',
            'flow \'x\': -p b={"k": 1, "k": 2}: the key "k" is given twice',
        ]

    def test_only_one_file(self, tmp_path: Path) -> None:
        """A Python file has no FlowRun beside it."""
        with pytest.raises(InvalidSpecError, match="a Python file is loaded alone"):
            load_file(tmp_path / "a.py", tmp_path / "b.yaml")

    def test_other_files(self, tmp_path: Path) -> None:
        """The kinds of files that can be loaded are named."""
        with pytest.raises(InvalidSpecError, match=r"neither a Python file \(\.py\) nor a document \(\.yaml\)"):
            load_file(tmp_path / "a.txt")
