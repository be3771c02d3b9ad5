"""pytest-xdist hands out tests by `tests.lanes`."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from . import lanes


class LaneScheduling(LoadScopeScheduling):
    """Gives each process the next scope that may run beside those of the others."""

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Give more to all processes, as this may be what they waited for."""
        super().mark_test_complete(node, item_index, duration)
        for one in self.nodes:
            self._reschedule(one)

    def _split_scope(self, nodeid: str) -> str:
        return lanes.scope(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        others = [
            [scope for scope, tests in scopes.items() if not all(tests.values())]
            for other, scopes in self.assigned_work.items()
            if other is not node
        ]
        chosen = lanes.choose(list(self.workqueue), others)
        if chosen is not None:
            self.workqueue.move_to_end(chosen, last=False)
            super()._assign_work_unit(node)
