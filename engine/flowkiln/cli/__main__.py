"""Run the command line by `python -m flowkiln.cli`."""

from flowkiln.cli import main

main(prog_name="flowkiln")
