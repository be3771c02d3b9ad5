"""Capture the output and logs of bodies during `flowkiln run`, as lines of the run's log.

In the process of the run, `capture` replaces standard output and error, and their file descriptors, which child
processes inherit, by a pipe. Each worker process of the local Dask cluster writes to its own named pipe, which the
process of the run reads (`worker`), so no output is lost with a worker. `order` places the lines between the State
changes.
"""
