"""States and results as values, signals, records, and the validation of cached results.

`flowkiln.engine.state`, `.result`, `.signals` and `.cache_validators` are the public paths of this package.
"""
