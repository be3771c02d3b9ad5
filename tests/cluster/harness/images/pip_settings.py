"""Hand the host's way to its package index into an image build, for the build alone.

A host behind a proxy, or with an index or certificates of its own, tells pip so by files and variables. A build sees
none of them. They are mounted read-only while it runs, so that no image and no file of the project holds any of it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.harness.commands import run

PASSED_ON = (
    "index-url",
    "extra-index-url",
    "trusted-host",
    "proxy",
    "no-index",
    "find-links",
    "retries",
    "default-timeout",
    "timeout",
)
CERTIFICATE_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")  # as pip looks at them
IMAGE_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
SETTING = re.compile(r"^(?::env:|[\w-]+)\.(?P<name>[\w-]+)='(?P<value>.*)'$")


def pip_settings(listing: str) -> Mapping[str, str]:
    """Return pip's settings in the output of `pip config list`; what the environment says wins."""
    found: dict[str, str] = {}
    for line in sorted(listing.splitlines(), key=lambda line: line.startswith(":env:")):
        if match := SETTING.match(line):
            found[match["name"]] = match["value"]
    return found


def build_volumes(folder: Path) -> list[str]:
    """Return the `--volume` options that a build on this host needs; writes a pip.conf for it into the folder."""
    settings = pip_settings(run([sys.executable, "-m", "pip", "config", "list"], check=False).stdout)
    lines = [f"{name} = {settings[name]}" for name in PASSED_ON if name in settings]
    volumes = []
    if (links := Path(settings.get("find-links", ""))).is_absolute() and links.is_dir():
        volumes.append(f"{links}:{links}:ro")
    certificates = [settings.get("cert", ""), *(os.environ.get(name, "") for name in CERTIFICATE_VARIABLES)]
    if certificate := next((Path(file) for file in certificates if file and Path(file).is_file()), None):
        volumes.append(f"{certificate.resolve()}:{IMAGE_CERTIFICATES}:ro")
        lines.append(f"cert = {IMAGE_CERTIFICATES}")
    if lines:
        configuration = folder / "pip.conf"
        configuration.write_text("\n".join(["[global]", *lines, ""]))
        volumes.append(f"{configuration}:/etc/pip.conf:ro")
    return [f"--volume={volume}" for volume in volumes]
