from __future__ import annotations

import pytest

from .builders import invoke


class TestInstall:
    @pytest.mark.parametrize("flag", ["--operator-image", "--runtime-image"])
    @pytest.mark.parametrize("image", ["", " ", "a b", "registry.example/a:1\n", "\ta"])
    def test_what_is_no_image_is_refused(self, flag: str, image: str) -> None:
        """An unset variable of a shell would install an operator that cannot start; the flag is named."""
        ended = invoke("install", flag, image)
        assert ended.exit_code == 2
        assert flag in ended.output
        assert "is not a valid image" in ended.output
        assert "kind:" not in ended.output

    def test_images_are_put_in(self) -> None:
        """A registry with a port and a digest are fine."""
        image = "registry.example:5000/flowkiln@sha256:" + "0" * 64
        ended = invoke("install", "--operator-image", image, "--runtime-image", "localhost/runtime:1")
        assert ended.exit_code == 0
        assert f"image: {image}\n" in ended.output
        assert "FLOWKILN_RUNTIME_IMAGE: localhost/runtime:1\n" in ended.output
