"""The `flowkiln` command line.

This package has the commands that need no cluster; other packages add commands by entry point.
"""

from __future__ import annotations

from flowkiln.cli.group import main

__all__ = ["main"]
