"""Base modules without knowledge of flows: settings, context, errors, logs, text, processes.

`flowkiln.configuration` and `flowkiln.utilities` are the public paths of this package.
"""
