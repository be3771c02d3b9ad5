"""JSON Schema (draft 2020-12) for values of strangers: the work is bounded, and nothing is fetched.

Whoever writes a flow writes its schemas and defaults, so neither may keep the operator busy. All work is counted in
`Steps` before it is done: reading a schema, compiling a regular expression, comparing a value. Regular expressions run
on an engine whose time is linear, and a `$ref` leads nowhere but into the schema itself.
"""

from __future__ import annotations

from flowkiln.api.validation.json_schema.compare import compare
from flowkiln.api.validation.json_schema.fault import Fault
from flowkiln.api.validation.json_schema.read import DIALECT, Schema, read_schema
from flowkiln.api.validation.json_schema.steps import MAX_STEPS, Steps, TooManyStepsError

__all__ = ["DIALECT", "MAX_STEPS", "Fault", "Schema", "Steps", "TooManyStepsError", "compare", "read_schema"]
