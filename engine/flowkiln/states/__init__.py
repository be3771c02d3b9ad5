"""What a run came to, as values: states and their results, the signals that ask for one, records, and cached results.

`flowkiln.engine.state`, `.result`, `.signals` and `.cache_validators` are the public paths of what users need of it.
"""
