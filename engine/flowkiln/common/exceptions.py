"""The errors that flowkiln raises on purpose: one small hierarchy under `FlowkilnError`."""

from __future__ import annotations


class FlowkilnError(Exception):
    """The base of every error that flowkiln raises for the person who reads it."""


class ContextError(KeyError, FlowkilnError):
    """The context has no such key."""


class SerializationError(FlowkilnError):
    """A value could not be serialized or deserialized."""


class ClientError(FlowkilnError):
    """A server that flowkiln talks to answered with an error."""


class AuthorizationError(ClientError):
    """A server refused the caller's credentials."""


class FlowLoadError(FlowkilnError):
    """A flow could not be built from its file or document; the message names task, module and callable."""


class InvalidSpecError(FlowkilnError):
    """A document (Flow, FlowRun, plan) is invalid; the message names the field."""


class FlowkilnWarning(UserWarning):
    """A legal construct that is probably a mistake."""
