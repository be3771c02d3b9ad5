"""The tasks and edges of a flow, with queries about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet
from typing import Any

from flowkiln.core import arguments
from flowkiln.core.edge import Edge
from flowkiln.core.graph import Graph, reachable
from flowkiln.core.ordered_set import OrderedSet
from flowkiln.core.task import Parameter, Task


class FlowGraph:
    """A name, mutable sets of tasks and edges, and queries that see every change of the sets.

    Iteration yields the tasks in topological order.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: OrderedSet[Task] = OrderedSet()
        self._edges: OrderedSet[Edge] = OrderedSet()
        self._reference_tasks: set[Task] = set()
        self._memo: tuple[Graph, int, int] | None = None

    def __iter__(self) -> Iterator[Task]:
        return iter(self.sorted_tasks())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_memo": None}

    @property
    def tasks(self) -> MutableSet[Task]:
        """Return the tasks, in insertion order."""
        return self._tasks

    @tasks.setter
    def tasks(self, tasks: Iterable[Task]) -> None:
        self._tasks = OrderedSet(tasks)
        self._memo = None

    @property
    def edges(self) -> MutableSet[Edge]:
        """Return the edges, in insertion order."""
        return self._edges

    @edges.setter
    def edges(self, edges: Iterable[Edge]) -> None:
        self._edges = OrderedSet(edges)
        self._memo = None

    @property
    def _graph(self) -> Graph:
        """Return the index of tasks and edges as they are now."""
        if self._memo is None or self._memo[1:] != (self._tasks.version, self._edges.version):
            self._remember(Graph(self._tasks, self._edges))
        assert self._memo is not None  # noqa: S101 (for the type checker: it was just set)
        return self._memo[0]

    def _remember(self, graph: Graph) -> None:
        self._memo = (graph, self._tasks.version, self._edges.version)

    def root_tasks(self) -> set[Task]:
        """Return the tasks without upstream edges."""
        return {task for task, edges in self._graph.above.items() if not edges}

    def terminal_tasks(self) -> set[Task]:
        """Return the tasks without downstream edges."""
        return {task for task, edges in self._graph.below.items() if not edges}

    def reference_tasks(self) -> set[Task]:
        """Return the tasks whose states decide the flow's state."""
        return set(self._reference_tasks) or self.terminal_tasks()

    def parameters(self) -> set[Parameter]:
        """Return the tasks that are parameters."""
        return {task for task in self._tasks if isinstance(task, Parameter)}

    def edges_to(self, task: Task) -> set[Edge]:
        """Return the edges to a task. Raise ValueError if the task is not in the flow."""
        return set(self._known(task).above[task])

    def edges_from(self, task: Task) -> set[Edge]:
        """Return the edges from a task. Raise ValueError if the task is not in the flow."""
        return set(self._known(task).below[task])

    def upstream_tasks(self, task: Task) -> set[Task]:
        """Return the direct upstream tasks of a task. Raise ValueError if the task is not in the flow."""
        return set(self._known(task).tasks_above(task))

    def downstream_tasks(self, task: Task) -> set[Task]:
        """Return the direct downstream tasks of a task. Raise ValueError if the task is not in the flow."""
        return set(self._known(task).tasks_below(task))

    def has_edges(self, task: Task) -> bool:
        """Return whether a task is in the flow and has edges there."""
        return task in self._tasks and bool(self._graph.above[task] or self._graph.below[task])

    def all_upstream_edges(self) -> dict[Task, set[Edge]]:
        """Return the edges to each task."""
        return {task: set(edges) for task, edges in self._graph.above.items()}

    def all_downstream_edges(self) -> dict[Task, set[Edge]]:
        """Return the edges from each task."""
        return {task: set(edges) for task, edges in self._graph.below.items()}

    def sorted_tasks(self, root_tasks: Iterable[Task] | None = None) -> tuple[Task, ...]:
        """Return the tasks in topological order, ties in insertion order.

        Args:
            root_tasks: return only these and everything downstream of them; an empty list means all.

        Raises:
            ValueError: there is a cycle, an edge refers to an unknown task, or a root is unknown.
        """
        graph = self._graph
        self._check_edges(graph)
        ordered = graph.sort()
        roots = list(root_tasks or ())
        if not roots:
            return ordered
        for root in roots:
            if root not in self._tasks:
                raise ValueError(f"Root task {root} was not found in Flow: {self}.")
        wanted = reachable(roots, graph.tasks_below)
        return tuple(task for task in ordered if task in wanted)

    def get_tasks(
        self,
        name: str | None = None,
        slug: str | None = None,
        tags: Iterable[str] | None = None,
        task_type: type[Task] | None = None,
    ) -> list[Task]:
        """Return the tasks that match all arguments, in insertion order; a task must have all `tags`."""
        asked = arguments.tags(tags)
        return [
            task
            for task in self._tasks
            if (name is None or task.name == name)
            and (slug is None or task.slug == slug)
            and asked <= task.tags
            and (task_type is None or isinstance(task, task_type))
        ]

    @property
    def task_ids(self) -> dict[str, Task]:
        """Return the tasks by their ids."""
        return {task.id: task for task in self._tasks}

    def validate(self) -> None:
        """Check the flow as a whole.

        Raises:
            ValueError: edges or reference tasks are not tasks of the flow, two edges set the same argument, or there is
                a cycle.
        """
        graph = self._graph
        self._check_edges(graph)
        if graph.clashing:
            edge = graph.clashing[0]
            raise ValueError(
                f"Argument {edge.key!r} of {edge.downstream_task} has more than one upstream task in {self}."
            )
        strangers = [task for task in self._reference_tasks if task not in self._tasks]
        if strangers:
            raise ValueError(f"Some reference tasks are not contained in {self}: {strangers[0]}.")
        graph.sort()

    def _check_edges(self, graph: Graph) -> None:
        if graph.dangling:
            raise ValueError(f"Some edges refer to tasks that are not contained in {self}: {graph.dangling[0]}.")

    def _known(self, task: Task) -> Graph:
        if task not in self._tasks:
            raise ValueError(f"Task {task} was not found in Flow: {self}.")
        return self._graph
