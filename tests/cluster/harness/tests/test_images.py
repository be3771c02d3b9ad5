"""The images' source digest, the settings of pip, and archives of what a node lacks."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.cluster.harness.images.layout import Layout
from tests.cluster.harness.images.pip_settings import pip_settings
from tests.cluster.harness.images.source import FILES, FOLDERS, source_digest

REFERENCE = "localhost/product:1"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a small project."""
    for name in FILES:
        (tmp_path / name).write_text(name)
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "module.py").write_text("value = 1")
    return tmp_path


def test_digest_changes_with_the_source_alone(checkout: Path) -> None:
    """Code, file names and other inputs change the tag; what Python derives from the code does not."""
    before = source_digest(checkout)
    (checkout / "engine" / "__pycache__").mkdir()
    (checkout / "engine" / "__pycache__" / "module.pyc").write_bytes(b"derived")
    assert source_digest(checkout) == before
    assert source_digest(checkout, "another base") != before
    (checkout / "engine" / "module.py").rename(checkout / "engine" / "renamed.py")
    renamed = source_digest(checkout)
    assert renamed != before
    (checkout / "engine" / "renamed.py").write_text("value = 2")
    assert source_digest(checkout) not in (before, renamed)


def test_pip_settings_of_the_environment_win() -> None:
    """Files and variables are both read, as pip reads them."""
    listing = ":env:.index-url='https://variable.example/simple'\nglobal.index-url='https://file.example/simple'\n"
    listing += "global.find-links='/wheels'\ninstall.no-compile='true'\nnot a setting\n"
    assert pip_settings(listing) == {
        "index-url": "https://variable.example/simple",
        "find-links": "/wheels",
        "no-compile": "true",
    }


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Make a layout with one image of two layers, and a blob that no image has."""
    blobs = tmp_path / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(content: bytes) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    manifest = {"config": add(b"config"), "layers": [add(b"dependencies"), add(b"code")]}
    add(b"of no image")
    descriptor = {
        **add(json.dumps(manifest).encode()),
        "annotations": {"org.opencontainers.image.ref.name": REFERENCE},
    }
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
    return Layout(tmp_path)


def test_archive_leaves_out_what_the_node_has(layout: Layout) -> None:
    """An archive holds the manifest, and of the rest what its reader does not have."""
    manifest, config, dependencies, code = layout.blobs(REFERENCE)
    file = io.BytesIO()
    layout.write_archive(REFERENCE, {manifest, dependencies}, file)
    with tarfile.open(fileobj=io.BytesIO(file.getvalue())) as tar:
        names = tar.getnames()
        index = json.load(tar.extractfile("index.json") or io.BytesIO())
    assert names == [
        "oci-layout",
        "index.json",
        *(f"blobs/{blob.replace(':', '/')}" for blob in (manifest, config, code)),
    ]
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == REFERENCE


def test_layout_drops_what_nobody_wants(layout: Layout) -> None:
    """Blobs of no image go; with the last image its blobs go too."""
    layout.keep(lambda reference: reference == REFERENCE)
    assert {f"sha256:{blob.name}" for blob in (layout.folder / "blobs" / "sha256").iterdir()} == set(
        layout.blobs(REFERENCE)
    )
    layout.keep(lambda reference: False)
    assert not layout.has(REFERENCE)
    assert list((layout.folder / "blobs" / "sha256").iterdir()) == []
