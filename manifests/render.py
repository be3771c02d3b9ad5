"""Print the manifests with given images: what tests install, and what `kubectl apply --server-side -f -` takes.

`python manifests/render.py --operator-image IMAGE --runtime-image IMAGE [--set FLOWKILN_NAMESPACES=a,b]`
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

OVERLAY = Path(__file__).parent / "overlays" / "test"
OPERATOR, RUNTIME = "operator-under-test", "runtime-under-test"
SETTINGS_ANCHOR = "  FLOWKILN_LOG_LEVEL: DEBUG\n"


def render(operator_image: str, runtime_image: str, settings: Mapping[str, str] | None = None) -> str:
    """Return all manifests as one YAML stream; `settings` are further environment variables of the operator."""
    kubectl = shutil.which("kubectl") or str(Path(sysconfig.get_path("scripts")) / "kubectl")
    built = subprocess.run([kubectl, "kustomize", str(OVERLAY)], check=True, capture_output=True, text=True)
    more = "".join(f'  {name}: "{value}"\n' for name, value in (settings or {}).items())
    return (
        built.stdout.replace(OPERATOR, operator_image)
        .replace(RUNTIME, runtime_image)
        .replace(SETTINGS_ANCHOR, SETTINGS_ANCHOR + more)
    )


def main() -> int:
    """Render to standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operator-image", required=True)
    parser.add_argument("--runtime-image", required=True)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the operator")
    arguments = parser.parse_args()
    settings = dict(pair.split("=", 1) for pair in arguments.set)
    sys.stdout.write(render(arguments.operator_image, arguments.runtime_image, settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
