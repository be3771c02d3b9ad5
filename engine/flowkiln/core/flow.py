"""Flows: tasks and the edges between them."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from contextvars import ContextVar
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from flowkiln.common.configuration import config, configured
from flowkiln.common.context import context
from flowkiln.common.logging import get_logger
from flowkiln.core import arguments
from flowkiln.core.binding import as_task, edge_options, operator_task
from flowkiln.core.edge import Edge
from flowkiln.core.flow_graph import FlowGraph
from flowkiln.core.graph import Graph
from flowkiln.core.signature import run_signature
from flowkiln.core.task import Parameter, Task

if TYPE_CHECKING:
    from flowkiln.schedules import Schedule
    from flowkiln.states.state import State

# The open `with` blocks of this thread, innermost last. A flow may occur more than once.
_open_blocks: ContextVar[tuple[ExitStack, ...]] = ContextVar("flowkiln_open_flow_blocks", default=())


class Flow(FlowGraph):
    """Tasks, the edges between them, and the reference tasks that decide the final state.

    Args:
        name: the name for people; it need not be unique.
        schedule: the dates at which `run` runs the flow.
        environment: stored but not used by flowkiln.
        tasks: tasks to add.
        edges: edges to add, with their tasks.
        reference_tasks: the tasks of `tasks` whose states decide the flow's state; by default the terminal tasks.
        state_handlers: callables `fn(flow, old_state, new_state) -> State | None`.
        on_failure: a callable `fn(flow, state)`, called when the flow fails.
        validate: whether each of `edges` is checked at once; None means `config.flows.eager_edge_validation`.
        result_handler: stored but not used by the engine.

    `tasks` and `edges` are mutable sets in insertion order. Only `validate` checks direct changes of them.

    Raises:
        TypeError, ValueError: there is no name; an argument is invalid; or `add_task`, `add_edge` or
            `set_reference_tasks` rejects a task or an edge.
    """

    def __init__(
        self,
        name: str,
        schedule: Schedule | None = None,
        environment: Any = None,
        tasks: Iterable[Task] | None = None,
        edges: Iterable[Edge] | None = None,
        reference_tasks: Iterable[Task] | None = None,
        state_handlers: Sequence[Callable[..., Any]] | None = None,
        on_failure: Callable[[Any, State], Any] | None = None,
        validate: bool | None = None,
        result_handler: Any = None,
    ) -> None:
        if not name:
            raise ValueError("A flow needs a name.")
        super().__init__(name)
        self._id = str(uuid.uuid4())
        self.schedule = arguments.schedule(schedule)
        self.environment = environment
        self.result_handler = result_handler
        self.logger = get_logger("Flow")
        self.state_handlers = arguments.state_handlers(state_handlers, on_failure)
        for task in tasks or ():
            self.add_task(task)
        self.set_reference_tasks(reference_tasks or ())
        for edge in dict.fromkeys(edges or ()):
            self._add_edge(edge, validate)

    # ---- identity

    @property
    def id(self) -> str:
        """Return a random UUID4 as text."""
        return self._id

    @id.setter
    def id(self, value: str) -> None:
        self._id = arguments.uuid_text(value)

    def __repr__(self) -> str:
        return f'<Flow: name="{self.name}">'

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Flow):
            return NotImplemented
        return (
            self.name == other.name
            and self.tasks == other.tasks
            and self.edges == other.edges
            and self.reference_tasks() == other.reference_tasks()
        )

    def copy(self) -> Self:
        """Return an equal flow with a new id and copies of the sets of tasks and edges."""
        new = copy.copy(self)
        new._id = str(uuid.uuid4())
        new.tasks = self.tasks
        new.edges = self.edges
        new._reference_tasks = set(self._reference_tasks)
        new.state_handlers = list(self.state_handlers)
        return new

    # ---- building

    def __enter__(self) -> Self:
        block = ExitStack()
        block.enter_context(context(flow=self))
        _open_blocks.set((*_open_blocks.get(), block))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        *outer, block = _open_blocks.get()
        _open_blocks.set(tuple(outer))
        block.close()

    def add_task(self, task: Task) -> Task:
        """Add a task and return it. Adding the same object twice is allowed.

        Raises:
            TypeError: it is not a Task.
            ValueError: another task of this flow has the same slug.
        """
        if not isinstance(task, Task):
            raise TypeError(f"Only tasks can be added to a flow, not {task!r}.")
        if task in self._tasks:
            return task
        graph = self._graph
        self._check_slug(graph, task)
        case = context.get("case")
        if case is not None:
            case.add_task(task, self)
        self._tasks.add(task)
        if not graph.dangling:
            graph.add_task(task)
            self._remember(graph)
        return task

    def add_edge(
        self,
        upstream_task: Task,
        downstream_task: Task,
        key: str | None = None,
        mapped: bool = False,
        validate: bool | None = None,
        *,
        flattened: bool = False,
    ) -> Edge:
        """Add an edge and both its tasks, and return the edge. An existing edge changes nothing.

        Raises:
            ValueError: the downstream task is a Parameter; or, with `validate`: its argument `key` has an edge already,
                or there would be a cycle.
            TypeError: with `validate`: its `run` has no argument `key`.
        """
        edge = Edge(upstream_task, downstream_task, key, mapped, flattened)
        return edge if edge in self._edges else self._add_edge(edge, validate)

    def _add_edge(self, edge: Edge, validate: bool | None) -> Edge:
        if isinstance(edge.downstream_task, Parameter):
            raise ValueError(f"{edge.downstream_task} cannot have an upstream task: parameters come first.")
        validate = config.flows.eager_edge_validation if validate is None else validate
        if validate:
            self._check_key(edge)
        elif edge in self._edges:
            return edge
        self.add_task(edge.upstream_task)
        self.add_task(edge.downstream_task)
        graph = self._graph
        if validate:
            graph.check_new_edge(edge.upstream_task, edge.downstream_task)
        if edge not in self._edges:
            self._edges.add(edge)
            graph.add_edge(edge, placed=bool(validate))
            self._remember(graph)
        return edge

    def _check_slug(self, graph: Graph, task: Task) -> None:
        other = graph.slugs.get(task.slug) if task.slug else None
        if other is not None and other is not task and other.slug == task.slug:
            raise ValueError(f"A task with the slug {task.slug!r} is already in {self}; slugs are unique in a flow.")

    def _check_key(self, edge: Edge) -> None:
        key, task = edge.key, edge.downstream_task
        if key is None or not isinstance(task, Task):
            return
        if not run_signature(task.run).accepts(key):
            raise TypeError(f"The run of {task} has no argument {key!r}.")
        if task in self._tasks and key in self._graph.keys[task]:
            raise ValueError(f"Argument {key!r} of {task} has an upstream task already.")

    def chain(self, *tasks: Task, validate: bool | None = None) -> list[Edge]:
        """Add an edge from each of the tasks to the next one, and return the edges."""
        return [self.add_edge(above, below, validate=validate) for above, below in pairwise(tasks)]

    def set_dependencies(
        self,
        task: Any,
        upstream_tasks: Iterable[Any] | None = None,
        downstream_tasks: Iterable[Any] | None = None,
        keyword_tasks: Mapping[str, Any] | None = None,
        mapped: bool = False,
        validate: bool | None = None,
    ) -> None:
        """Add edges from and to a task; values that are not tasks are converted. Nothing is added if this fails.

        Args:
            task: the task (or constant, collection, function) of these edges.
            upstream_tasks: the tasks that it depends on.
            downstream_tasks: the tasks that depend on it.
            keyword_tasks: arguments of its `run`, by name.
            mapped: whether it runs once per element of its upstream results, except `unmapped` ones.
            validate: whether each edge is checked at once; None means `config.flows.eager_edge_validation`.

        Raises:
            TypeError, ValueError: an argument is not a list or dict; or see `add_edge`.
        """
        downstream = arguments.several("downstream_tasks", downstream_tasks)
        upstream = [(None, each) for each in arguments.several("upstream_tasks", upstream_tasks)]
        keywords = arguments.by_name("keyword_tasks", keyword_tasks)
        before = len(self._tasks), len(self._edges)
        try:
            task = self.add_task(as_task(task, self))
            for below in downstream:
                self.add_edge(task, as_task(below, self), validate=validate)
            for key, above in [*upstream, *keywords.items()]:
                options = edge_options(above, mapped)
                self._add_edge(Edge(as_task(above, self), task, key, options.mapped, options.flattened), validate)
        except BaseException:
            self._forget_newer(*before)
            raise

    def _bind_operator(self, name: str, *operands: Any) -> Task:
        """Add the task of an operator from the name of its class, as the operators of tasks do."""
        return operator_task(name).bind(*operands, flow=self)

    def _add_order(self, upstream: Any, downstream: Any) -> Task:
        """Add an edge from `upstream` to `downstream`, as `upstream | downstream` does, and return it."""
        above, below = as_task(upstream, self), as_task(downstream, self)
        self.add_edge(above, below, validate=True)
        return below

    def _forget_newer(self, tasks: int, edges: int) -> None:
        """Remove the tasks and edges after the first `tasks` tasks and `edges` edges."""
        for edge in list(self._edges)[edges:]:
            self._edges.discard(edge)
        for task in list(self._tasks)[tasks:]:
            self._tasks.discard(task)

    def update(self, flow: Flow, validate: bool | None = None) -> None:
        """Add the tasks and edges of another flow."""
        for task in flow.tasks:
            self.add_task(task)
        for edge in flow.edges:
            if edge not in self._edges:
                self._add_edge(edge, validate)

    def replace(self, old: Task, new: Any, validate: bool = True) -> None:
        """Replace `old` by `new` in its edges, and among the reference tasks if they are set.

        Nothing is changed if this fails.

        Raises:
            ValueError: `old` is not in the flow, or `new` does not match an edge of it.
            TypeError: `new` does not take the argument of an edge of `old`.
        """
        if old not in self._tasks:
            raise ValueError(f"{old} cannot be replaced: it was not found in Flow {self.name!r}.")
        trial = self.copy()
        with context(case=None):
            new = as_task(new, trial)
        trial.tasks = [new if task is old else task for task in trial.tasks if task is not new]
        trial.edges = [edge for edge in trial.edges if old not in (edge.upstream_task, edge.downstream_task)]
        trial._check_slug(Graph([task for task in trial.tasks if task is not new], ()), new)
        for edge in self._edges:
            above, below = (new if end is old else end for end in (edge.upstream_task, edge.downstream_task))
            if old in (edge.upstream_task, edge.downstream_task):
                trial._add_edge(Edge(above, below, edge.key, edge.mapped, edge.flattened), validate)
        self.tasks = trial.tasks
        self.edges = trial.edges
        if old in self._reference_tasks:
            self._reference_tasks = {new if task is old else task for task in self._reference_tasks}

    def set_reference_tasks(self, tasks: Iterable[Task]) -> None:
        """Set the tasks whose states decide the flow's state; no tasks means the terminal tasks.

        Raises:
            ValueError: a task is not in the flow.
        """
        chosen = set(tasks)
        strangers = [task for task in chosen if task not in self._tasks]
        if strangers:
            raise ValueError(f"Reference tasks must be part of the flow; {strangers[0]} is not in {self}.")
        self._reference_tasks = chosen

    # ---- running and showing

    def run(
        self, parameters: Mapping[str, Any] | None = None, runner_cls: type[Any] | None = None, **kwargs: Any
    ) -> State:
        """Run the flow in this process until it is finished, on its schedule if it has one, and return the last state.

        Args:
            parameters: values of the flow's parameters by name; keywords that name parameters count as parameters too.
            runner_cls: a FlowRunner class that replaces the default one.
            **kwargs: arguments of `FlowRunner.run` (`executor`, `context`, `state`, `task_states`, `start_tasks` …).

        The state's `result` is a dict from each task to its State.

        Raises:
            ValueError: a parameter is unknown or missing, `return_tasks` is given, or the schedule has no more runs.
        """
        run_flow = configured("flows.runner", "flowkiln.engine.runs.run_flow.run_flow")
        state: State = run_flow(self, parameters=parameters, runner_cls=runner_cls, **kwargs)
        return state

    def visualize(self, flow_state: State | None = None) -> Any:
        """Draw the graph, with colours if a state of the flow is given; requires the extra `flowkiln[viz]`.

        In a notebook the drawing is returned; elsewhere it is opened as a PDF file.

        Raises:
            ImportError: graphviz is not installed.
        """
        from flowkiln.core.visualization import visualize

        return visualize(self, flow_state)
