"""The errors that flowkiln raises on purpose: one small hierarchy under `FlowkilnError`."""

from __future__ import annotations


class FlowkilnError(Exception):
    """The base of every error that flowkiln raises for the person who reads it."""


class ContextError(KeyError, FlowkilnError):
    """A key was read from the context that is not there."""


class SerializationError(FlowkilnError):
    """A value could not be written, or could not be read back."""


class ClientError(FlowkilnError):
    """A server that flowkiln talks to answered with an error."""


class AuthorizationError(ClientError):
    """A server refused the caller's credentials."""


class FlowLoadError(FlowkilnError):
    """A flow could not be built from its file or document; the message names task, module and callable."""


class InvalidSpecError(FlowkilnError):
    """A document (Flow, FlowRun, plan) is not valid; the message names the field."""


class FlowkilnWarning(UserWarning):
    """Something legal that is probably not what was meant."""
