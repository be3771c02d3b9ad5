"""`python -m flowkiln.cli` is `flowkiln`."""

from flowkiln.cli import main

main(prog_name="flowkiln")
