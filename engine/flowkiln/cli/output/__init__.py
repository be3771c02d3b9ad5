"""What bodies write and log while `flowkiln run` runs a flow, as lines of the run's log.

In the process of the run, `capture` puts streams in the place of standard output and error, and a pipe in the place of
their file descriptors, which child processes inherit. A worker process of the local Dask cluster has a named pipe of
its own that leads to the process of the run (`worker`): so nothing is lost with a worker. `order` shows the lines
between the State changes where they belong.
"""
