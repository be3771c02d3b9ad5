"""What bodies write and log while `flowkiln run` runs a flow, as lines of the run's log.

In the process of the run, `capture` replaces the streams of standard output and error, and their file descriptors,
which child processes inherit, by a pipe. Each worker process of the local Dask cluster writes to a named pipe of its
own that the process of the run reads (`worker`), so nothing is lost with a worker. `order` puts the lines between the
State changes where they belong.
"""
