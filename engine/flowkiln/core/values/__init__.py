"""Values as tasks: constants, collections, functions, and Python's operators on results.

`flowkiln.tasks.core` has the public paths of these modules.
"""
