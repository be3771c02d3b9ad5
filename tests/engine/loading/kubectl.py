"""What a real kubectl reads, without any cluster."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.cluster.harness.commands import kubectl_path

FRAME = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
"""An object to which a text can add fields; four lines with the next one."""


class KubectlError(Exception):
    """kubectl refuses the text, and says why."""


def kubectl_reads(text: str) -> list[dict[str, Any]]:
    """Return the objects that kubectl would send for a text, or raise KubectlError."""
    command = [kubectl_path(), "annotate", "--local", "--filename=-", "a=b", "--output=json"]
    ended = subprocess.run(command, input=text, capture_output=True, text=True, timeout=240, check=False)
    if ended.returncode != 0:
        raise KubectlError(ended.stderr.strip())
    objects, rest = [], ended.stdout.strip()
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        del value["metadata"]["annotations"]
        objects.append(value)
        rest = rest[end:].strip()
    return objects
