"""Find the flow in a Python file."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

from flowkiln.common.exceptions import FlowLoadError
from flowkiln.core.flow import Flow
from flowkiln.loading.import_path import ImportPath
from flowkiln.loading.importing import import_module


def module_of(path: Path) -> tuple[Path, str]:
    """Return the folder that must be importable, and the module name of the file relative to it.

    As with `python -m`, the name of a file inside packages includes the packages, so its relative imports work. Workers
    import the file by this name.

    Raises:
        FlowLoadError: a name contains a dot, which separates packages in Python.
    """
    folder, names = path.parent, [] if path.name == "__init__.py" else [path.stem]
    while (folder / "__init__.py").exists():
        names.insert(0, folder.name)
        folder = folder.parent
    for name in names:
        if "." in name:
            of_file = name == names[-1] and path.stem == name
            what, suffix = ("file", ".py") if of_file else ("folder", "")
            better = name.replace(".", "_")
            raise FlowLoadError(
                f"{path}: Python cannot import what has a dot in its name; "
                f"give the {what} a name without dots, such as {better}{suffix}"
            )
    return folder, ".".join(names)


def load_flow(path: Path, attribute: str | None, module_name: str, import_path: ImportPath) -> Flow:
    """Import the file, which `import_path` makes importable as `module_name`, and return its flow.

    Raise FlowLoadError if it cannot be imported, or if the flow is ambiguous.
    """
    module = load_module(path, module_name, import_path)
    flows = flows_in(module)
    if attribute is not None:
        return _named(path, attribute, vars(module).get(attribute), flows)
    distinct = list({id(flow): flow for flow in flows.values()}.values())
    if not distinct:
        raise FlowLoadError(f"{path}: there is no flow at module level; write `with Flow(...) as flow:` there")
    if len(distinct) > 1:
        raise FlowLoadError(
            f"{path}: there are {len(distinct)} flows at module level; name one: "
            + " or ".join(f"{path}:{name}" for name in flows)
        )
    return distinct[0]


def flows_in(module: ModuleType) -> dict[str, Flow]:
    """Return the flows at module level by the names of their variables."""
    return {name: value for name, value in vars(module).items() if isinstance(value, Flow)}


def load_module(path: Path, module_name: str, import_path: ImportPath) -> ModuleType:
    """Import the file, which `import_path` makes importable as `module_name`.

    Raise FlowLoadError if that fails, or if the name refers to another module.
    """
    loaded = sys.modules.get(module_name)
    if loaded is not None and not _is_from(loaded, path):
        raise FlowLoadError(
            f"{path}: a module {module_name!r} is imported already "
            f"(from {getattr(loaded, '__file__', 'Python itself')}); give the file another name"
        )
    try:
        module = import_module(module_name, f"{path}: importing it")
    except ModuleNotFoundError as error:
        raise FlowLoadError(f"{path}: importing it raised {type(error).__name__}: {error}") from error
    if not _is_from(module, path):
        raise FlowLoadError(
            f"{path}: Python takes {module_name!r} from {getattr(module, '__file__', 'itself')}; "
            f"give the file another name, or keep {import_path.folder} free of that module"
        )
    return module


def _is_from(module: object, path: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve() == path


def _named(path: Path, attribute: str, found: object, flows: dict[str, Flow]) -> Flow:
    if isinstance(found, Flow):
        return found
    state = "there is no such attribute" if found is None else f"it is {type(found).__name__}"
    known = f"; flows here: {', '.join(flows)}" if flows else ""
    raise FlowLoadError(f"{path}: {attribute!r} is no flow ({state}){known}")
