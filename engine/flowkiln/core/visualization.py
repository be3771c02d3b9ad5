"""Draw a flow."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flowkiln.core.edge import Edge
from flowkiln.core.flow_graph import FlowGraph
from flowkiln.core.local_ids import local_ids
from flowkiln.core.task import Task
from flowkiln.states.state import State

_UNKNOWN = "#000000"
_TRANSPARENCY = "80"


def visualize(flow: FlowGraph, flow_state: State | None = None) -> Any:
    """Draw a flow; in a notebook return the drawing, elsewhere open it as a file.

    Raises:
        ImportError: graphviz is not installed.
    """
    drawing = draw(flow, flow_state)
    if not _in_notebook():
        drawing.view(filename=str(Path(tempfile.mkdtemp(prefix="flowkiln-"), "flow")))
    return drawing


def draw(flow: FlowGraph, flow_state: State | None = None) -> Any:
    """Return a `graphviz.Digraph` of the flow, with its tasks coloured by their states if the flow's state is given.

    Raises:
        ImportError: graphviz is not installed.
    """
    try:
        import graphviz
    except ImportError as error:
        raise ImportError("To draw flows install graphviz: pip install 'flowkiln[viz]'") from error
    drawing = graphviz.Digraph(name=flow.name)
    ids = local_ids(flow)
    states: Mapping[Task, State] = flow_state.result if flow_state and isinstance(flow_state.result, dict) else {}
    nodes = {task: _node_ids(ids[task], _children(states.get(task))) for task in flow.tasks}
    mapped = {edge.downstream_task for edge in flow.edges if edge.mapped}

    for task in flow.sorted_tasks():
        is_mapped = task in mapped
        label = f"{task.name} <map>" if is_mapped else task.name
        # Graphviz reads a label in angle brackets as HTML.
        look = {"label": graphviz.escape(label), "shape": "box" if is_mapped else "ellipse"}
        state = states.get(task)
        children = _children(state)
        for i, node in enumerate(nodes[task]):
            drawing.node(node, **look, **(_fill(children[i] if children else state) if flow_state else {}))
    for edge in flow.edges:
        style = {"style": "dashed"} if edge.mapped else {}
        for above, below in _pairs(edge, nodes):
            drawing.edge(above, below, label=edge.key, **style)
    return drawing


def _children(state: State | None) -> list[State | None]:
    return list(getattr(state, "map_states", None) or ())


def _node_ids(local_id: str, children: list[State | None]) -> list[str]:
    return [f"{local_id}[{i}]" for i in range(len(children))] or [local_id]


def _fill(state: State | None) -> dict[str, str]:
    return {"style": "filled", "colorscheme": "svg", "color": f"{getattr(state, 'color', _UNKNOWN)}{_TRANSPARENCY}"}


def _pairs(edge: Edge, nodes: Mapping[Task, list[str]]) -> list[tuple[str, str]]:
    above, below = nodes[edge.upstream_task], nodes[edge.downstream_task]
    if edge.mapped and len(above) == len(below) and not edge.flattened:
        return list(zip(above, below, strict=True))
    return [(a, b) for a in above for b in below]


def _in_notebook() -> bool:
    try:
        from IPython import get_ipython

        return "IPKernelApp" in get_ipython().config
    except Exception:
        return False
