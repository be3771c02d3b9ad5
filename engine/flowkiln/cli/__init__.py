"""The `flowkiln` command line. Commands that need no cluster are here; other packages add theirs by entry point."""

from __future__ import annotations

from flowkiln.cli.group import main

__all__ = ["main"]
