"""Make the modules of a folder importable for a while, in this process and in new ones."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from flowkiln.loading.hidden_modules import refuse_hidden_modules


class ImportPath:
    """A folder at the head of `sys.path` and of the environment's PYTHONPATH, until `close`.

    Worker processes of a local Dask cluster inherit both, so functions of these modules can be pickled by name.

    `close` also removes the modules of the folder from `sys.modules`: another flow may have modules with the same
    names. Raise FlowLoadError if the folder has a module that hides one of Python's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        refuse_hidden_modules(self.folder)
        self._python_path_before = os.environ.get("PYTHONPATH")
        sys.path.insert(0, str(self.folder))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(self.folder), self._python_path_before]))
        # The folder may be newer than the import system's cache of its parent.
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
