"""Make the modules of a folder importable for a while, here and in the processes that are started meanwhile."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from flowkiln.loading.hidden_modules import refuse_hidden_modules


class ImportPath:
    """A folder at the head of `sys.path` and of the environment's PYTHONPATH, until `close`.

    Worker processes of a local Dask cluster are started by this process and inherit both, so that functions of the
    folder's modules can travel by name. `close` also forgets the modules that came from the folder: another flow may
    have modules of the same names.

    Raises FlowLoadError if the folder has a module that hides one of Python's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        refuse_hidden_modules(self.folder)
        self._python_path_before = os.environ.get("PYTHONPATH")
        sys.path.insert(0, str(self.folder))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(self.folder), self._python_path_before]))
        # A folder may be younger than what the import system remembers of its parent.
        importlib.invalidate_caches()

    def close(self) -> None:
        """Undo what the constructor did; a second call does nothing."""
        if str(self.folder) not in sys.path:
            return
        sys.path.remove(str(self.folder))
        if self._python_path_before is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = self._python_path_before
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if file and Path(file).is_relative_to(self.folder):
                del sys.modules[name]
