"""Writes docs/states.md from the engine's own tables: `python docs/draw_states.py [--check]`."""

from __future__ import annotations

import inspect
from pathlib import Path

from flowkiln.api.generated import generator
from flowkiln.states import state as states
from flowkiln.states.transitions import TABLE

PAGE = "states.md"

HEAD = """# States

<!-- Written by docs/draw_states.py from the engine's code; do not edit it, run `make generate`. -->

A state is a value: its class says what a run is doing, and classes are families (a `TimedOut` is a `Failed`). State
handlers may replace an outcome by any state; these tables show what the engine does by itself.
"""


def families() -> list[str]:
    """Return one line for each state class: its parent and its meaning."""
    lines = ["## Families", "", "| state | is a | means |", "|---|---|---|"]
    for cls in vars(states).values():
        if inspect.isclass(cls) and issubclass(cls, states.State) and not cls.__name__.startswith("_"):
            parent = "" if cls is states.State else cls.__mro__[1].__name__
            meaning = (inspect.getdoc(cls) or "").splitlines()[0].replace("|", "\\|")
            lines.append(f"| {cls.__name__} | {parent.lstrip('_')} | {meaning} |")
    return lines


def transitions() -> list[str]:
    """Return the transitions of a task run, as a diagram and as a table."""
    lines = ["", "## Transitions of a task run", "", "```mermaid", "stateDiagram-v2", "    [*] --> Pending"]
    rows = ["", "| from | to |", "|---|---|"]
    for old, following in TABLE.items():
        names = sorted(new.__name__ for new in following)
        lines.extend(f"    {old.__name__} --> {name}" for name in names)
        rows.append(f"| {old.__name__} | {', '.join(names) or 'nothing'} |")
    return [*lines, "```", *rows]


def page() -> dict[str, str]:
    """Return the text of the page, by file name."""
    return {PAGE: HEAD + "\n" + "\n".join([*families(), *transitions()]) + "\n"}


main = generator("the page of states", Path(__file__).parent, page)

if __name__ == "__main__":
    main()
