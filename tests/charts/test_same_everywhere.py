"""kustomize, Helm and `flowkiln install` install the same objects."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from manifests import generate_install, kustomize

from charts import generate as chart_files
from flowkiln import __version__
from flowkiln.cli.install import install, manifests
from flowkiln_operator.controller.settings import Settings

from .helm import CHART
from .rendering import LOADER, Key, Object, named, objects, render

ROOT = Path(__file__).parents[2]
HELMS_LABELS = {
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "helm.sh/chart",
}
SETTINGS = re.compile(r"flowkiln-operator(-[0-9a-z]{10})?")
"""The name of the operator's settings; kustomize and `flowkiln install` put a digest behind it."""


NOT_NAMESPACED = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}


def comparable(found: Mapping[Key, Object]) -> dict[Key, Object]:
    """Return the objects without that in which the ways to install differ on purpose.

    Helm makes no Namespace for itself, labels what it made, marks what it leaves behind, and has a checksum of the
    settings on the pod where kustomize has it in their name. The settings are as the operator understands them.
    """
    made = {}
    for (kind, namespace, name), document in found.items():
        if kind == "Namespace":
            continue
        document = copy.deepcopy(document)
        metadata = document["metadata"]
        metadata["labels"] = {key: value for key, value in metadata["labels"].items() if key not in HELMS_LABELS}
        (metadata.get("annotations") or {}).pop("helm.sh/resource-policy", None)
        if not metadata.get("annotations"):
            metadata.pop("annotations", None)
        if kind == "ConfigMap":
            assert SETTINGS.fullmatch(name)
            name = metadata["name"] = "flowkiln-operator"
            document["data"] = Settings.from_environment(document["data"])
        if kind == "Deployment":
            _forget_the_digest_of_settings(document["spec"]["template"])
        made[kind, namespace, name] = document
    return made


def _without_namespace(document: Object) -> Object:
    return document | {"metadata": {key: it for key, it in document["metadata"].items() if key != "namespace"}}


def _forget_the_digest_of_settings(template: Object) -> None:
    annotations = template["metadata"].get("annotations", {})
    annotations.pop("checksum/settings", None)
    if not annotations:
        template["metadata"].pop("annotations", None)
    for one in template["spec"]["containers"]:
        for source in one.get("envFrom", ()):
            assert SETTINGS.fullmatch(source["configMapRef"]["name"])
            source["configMapRef"]["name"] = "flowkiln-operator"


def assert_same(one: Mapping[Key, Object], other: Mapping[Key, Object]) -> None:
    """Compare object by object, so that a difference names its object."""
    mine, theirs = comparable(one), comparable(other)
    assert mine.keys() == theirs.keys()
    for key, document in mine.items():
        assert document == theirs[key], key


@pytest.fixture(scope="module")
def kustomized() -> dict[Key, Object]:
    """Return what `kubectl apply -k manifests/overlays/default` applies."""
    return objects(kustomize.build(ROOT / "manifests" / "overlays" / "default"))


def test_the_chart_is_the_same_as_kustomize(kustomized: dict[Key, Object]) -> None:
    """With default values, every object in every field."""
    assert_same(render(), kustomized)


def test_another_namespace_is_the_same_too(tmp_path: Path) -> None:
    """Everything namespaced moves along, and so do the subjects of bindings."""
    where = tmp_path.resolve()
    overlay = os.path.relpath(ROOT / "manifests" / "overlays" / "default", where)
    (where / "kustomization.yaml").write_text(json.dumps({"namespace": "elsewhere", "resources": [overlay]}))
    moved = {
        # kustomize takes kinds that it does not know for namespaced; the API server drops the namespace.
        (kind, "" if kind in NOT_NAMESPACED else namespace, name): _without_namespace(document)
        if kind in NOT_NAMESPACED
        else document
        for (kind, namespace, name), document in objects(kustomize.build(where)).items()
    }
    assert_same(render(namespace="elsewhere"), moved)
    assert_same(objects(manifests(namespace="elsewhere")), moved)


def test_install_prints_what_kustomize_makes(kustomized: dict[Key, Object]) -> None:
    """Without options `flowkiln install` prints the packaged file as it is."""
    ended = CliRunner().invoke(install)
    assert ended.exit_code == 0
    assert ended.output == (ROOT / "manifests" / "install.yaml").read_text(encoding="utf-8")
    assert objects(ended.output) == kustomized


def test_install_puts_images_in() -> None:
    """The same as the chart with these images."""
    options = ["--operator-image", "reg.example/op@sha256:" + "0" * 64, "--runtime-image", "reg.example:5000/run:7"]
    printed = objects(CliRunner().invoke(install, options).output)
    values = {
        "image": {"repository": "reg.example/op", "digest": "sha256:" + "0" * 64},
        "runtimeImage": {"repository": "reg.example:5000/run", "tag": "7"},
    }
    assert_same(printed, render(values))


def test_another_runtime_image_starts_the_operator_anew(kustomized: dict[Key, Object]) -> None:
    """The settings change their name, and the Deployment refers to that name; with the same image it is the same."""

    def reference(found: Mapping[Key, Object]) -> Any:
        (one,) = named(found, "Deployment", "flowkiln-operator")["spec"]["template"]["spec"]["containers"]
        return one["envFrom"][0]["configMapRef"]["name"]

    first, second = (objects(manifests(runtime_image=image)) for image in ("a:1", "b:1"))
    assert len({reference(kustomized), reference(first), reference(second)}) == 3
    assert reference(first) == reference(objects(manifests(runtime_image="a:1", namespace="elsewhere")))
    for found in (first, second):
        assert ("ConfigMap", "flowkiln-system", reference(found)) in found


@pytest.mark.parametrize("name", ["", "Flowkiln", "a_b", "a" * 64])
def test_a_namespace_that_cannot_be_is_refused(name: str) -> None:
    """Before anything is printed."""
    ended = CliRunner().invoke(install, ["--namespace", name])
    assert ended.exit_code == 2
    assert f'"{name}" is not a valid namespace' in ended.output


def test_what_is_generated_is_not_stale() -> None:
    """install.yaml, values.yaml and the chart's files say what manifests/ says."""
    assert generate_install.TARGET.read_text(encoding="utf-8") == generate_install.render(), "run `make generate`"
    files = chart_files.rendered()
    for path, text in files.items():
        assert (CHART / path).read_text(encoding="utf-8") == text, f"{path}: run `make generate`"
    there = {path.relative_to(CHART) for path in (CHART / "files").rglob("*.*")}
    assert there <= files.keys(), "run `make generate`"


def test_all_are_of_one_version(kustomized: dict[Key, Object]) -> None:
    """Chart, manifests and package are released together."""
    chart = yaml.load((CHART / "Chart.yaml").read_text(encoding="utf-8"), Loader=LOADER)
    assert chart["version"] == chart["appVersion"] == __version__
    (settings,) = [document["data"] for (kind, _, _), document in kustomized.items() if kind == "ConfigMap"]
    assert settings["FLOWKILN_RUNTIME_IMAGE"] == f"flowkiln-runtime:{__version__}"
