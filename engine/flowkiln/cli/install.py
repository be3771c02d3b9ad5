"""`flowkiln install`: print the manifests that install Flowkiln in a cluster."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import click

MANIFESTS = "install.yaml"
NAMESPACE = "flowkiln-system"
RUNTIME_IMAGE = "FLOWKILN_RUNTIME_IMAGE"
_SEPARATOR = "---\n"
_DEFINITION = re.compile(r"^kind: CustomResourceDefinition$", re.MULTILINE)

Document = dict[str, Any]


@click.command(short_help="Print the manifests that install Flowkiln in a cluster.")
@click.option("--operator-image", metavar="IMAGE", help="Image of the operator and of dask-kubernetes' controller.")
@click.option("--runtime-image", metavar="IMAGE", help="Image of scheduler and workers for flows without an image.")
@click.option("--namespace", metavar="NAME", default=NAMESPACE, show_default=True, help="Namespace of the controllers.")
def install(operator_image: str | None, runtime_image: str | None, namespace: str) -> None:
    """Print the manifests of this version, for kubectl:

    flowkiln install | kubectl apply --server-side -f -
    """
    # The models are slow to import, and `flowkiln --help` lists this command.
    from flowkiln.api.model import DNS_LABEL_PATTERN

    if len(namespace) > 63 or not re.match(DNS_LABEL_PATTERN, namespace):
        raise click.BadParameter(f'"{namespace}" is not a valid namespace', param_hint="--namespace")
    for flag, image in (("--operator-image", operator_image), ("--runtime-image", runtime_image)):
        if image is not None and (not image or re.search(r"\s", image)):
            raise click.BadParameter(f'"{image}" is not a valid image', param_hint=flag)
    click.echo(manifests(operator_image=operator_image, runtime_image=runtime_image, namespace=namespace), nl=False)


def manifests(
    *, operator_image: str | None = None, runtime_image: str | None = None, namespace: str = NAMESPACE
) -> str:
    """Return install.yaml, with the given images and namespace."""
    packaged = resources.files("flowkiln.cli").joinpath(MANIFESTS).read_text(encoding="utf-8")
    if operator_image is None and runtime_image is None and namespace == NAMESPACE:
        return packaged
    return _SEPARATOR.join(_edited(packaged, operator_image, runtime_image, namespace))


def _edited(packaged: str, operator_image: str | None, runtime_image: str | None, namespace: str) -> Iterator[str]:
    import yaml

    names: dict[str, str] = {}
    for text in packaged.split(f"\n{_SEPARATOR}"):
        if _DEFINITION.search(text):  # large, and without images or namespaces
            yield f"{text.rstrip()}\n"
            continue
        document: Document = yaml.safe_load(text)
        _move(document, namespace)
        if document["kind"] == "ConfigMap" and runtime_image is not None:
            names |= _set_runtime_image(document, runtime_image)
        if document["kind"] == "Deployment":
            _set_image(document, operator_image, names)
        yield yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=True)


def _move(document: Document, namespace: str) -> None:
    places = [document["metadata"], *document.get("subjects", ())]
    for place in places:
        if "namespace" in place:
            place["namespace"] = namespace
    if document["kind"] == "Namespace":
        document["metadata"]["name"] = namespace


def _set_runtime_image(settings: Document, image: str) -> dict[str, str]:
    """Change the setting and, as kustomize does, the ConfigMap's name, so the operator restarts with the new setting.

    Return the new name by the old one.
    """
    settings["data"][RUNTIME_IMAGE] = image
    digest = hashlib.sha256(json.dumps(settings["data"], sort_keys=True).encode()).hexdigest()[:10]
    before: str = settings["metadata"]["name"]
    settings["metadata"]["name"] = f"{before.rpartition('-')[0]}-{digest}"
    return {before: settings["metadata"]["name"]}


def _set_image(deployment: Document, image: str | None, names: dict[str, str]) -> None:
    for container in deployment["spec"]["template"]["spec"]["containers"]:
        if image is not None:
            container["image"] = image
        for source in container.get("envFrom", ()):
            reference = source["configMapRef"]
            reference["name"] = names.get(reference["name"], reference["name"])
