"""Write the CustomResourceDefinitions of dask-kubernetes that Flowkiln needs, taken from the installed wheel.

`python manifests/dask-kubernetes/generate_crds.py` writes them, with `--check` it only compares.
DaskJob and DaskAutoscaler are left out: nothing here makes one, and what a DaskAutoscaler makes the controller do
(unpickle what a scheduler answers) is better not on offer.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from flowkiln.api.generated import generator

NAMES = ("daskcluster", "daskworkergroup")
FOLDER = "dask_kubernetes/operator/deployment/helm/dask-kubernetes-operator/crds"
TARGET = Path(__file__).parent / "crds.yaml"


def render() -> str:
    """Return the CRDs as one YAML stream."""
    wheel = importlib.metadata.distribution("dask-kubernetes")
    parts = [f"# Generated from dask-kubernetes {wheel.version} by generate_crds.py. Do not edit.\n"]
    for name in NAMES:
        path = Path(str(wheel.locate_file(f"{FOLDER}/{name}.yaml")))
        parts.append(path.read_text(encoding="utf-8").strip().removeprefix("---").lstrip() + "\n")
    return "---\n".join(parts)


main = generator("crds.yaml", TARGET.parent, lambda: {TARGET.name: render()})


if __name__ == "__main__":
    main()
