"""Read secret inputs: files below one folder, read on the worker just before the body."""

from __future__ import annotations

import os
from pathlib import Path

from flowkiln.api.flow import SecretKeyRef
from flowkiln.api.pods import SECRETS_DIRECTORY
from flowkiln.common.exceptions import FlowkilnError

SECRETS_DIRECTORY_VARIABLE = "FLOWKILN_SECRETS_DIR"
"""Environment variable with the folder to use without a cluster."""


class SecretNotFoundError(FlowkilnError):
    """The file of a secret input is missing, or not text."""


def read_secret(reference: SecretKeyRef) -> str:
    """Return the text of `<folder>/<secret>/<key>`, unchanged.

    Raise SecretNotFoundError, whose message names Secret and key and never contains the value.
    """
    folder = os.environ.get(SECRETS_DIRECTORY_VARIABLE) or SECRETS_DIRECTORY
    path = Path(folder, reference.name, reference.key)
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise SecretNotFoundError(
            f"key {reference.key!r} of Secret {reference.name!r} cannot be read from {path} ({error.strerror}); "
            f"without a cluster, point {SECRETS_DIRECTORY_VARIABLE} to a folder of <secret>/<key> files"
        ) from error
    except UnicodeDecodeError:
        raise SecretNotFoundError(f"key {reference.key!r} of Secret {reference.name!r} is not UTF-8 text") from None
