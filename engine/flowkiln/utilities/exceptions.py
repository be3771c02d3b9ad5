"""The public path of the errors that flowkiln raises on purpose."""

from flowkiln.common.exceptions import (
    AuthorizationError,
    ClientError,
    ContextError,
    FlowkilnError,
    FlowkilnWarning,
    FlowLoadError,
    InvalidSpecError,
    SerializationError,
)

__all__ = [
    "AuthorizationError",
    "ClientError",
    "ContextError",
    "FlowLoadError",
    "FlowkilnError",
    "FlowkilnWarning",
    "InvalidSpecError",
    "SerializationError",
]
