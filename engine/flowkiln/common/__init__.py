"""What every other package builds on; it knows nothing of flows: settings, context, errors, logs, text, processes.

`flowkiln.configuration` and `flowkiln.utilities` are the public paths of what users need of it.
"""
