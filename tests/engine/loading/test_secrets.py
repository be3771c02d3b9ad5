from __future__ import annotations

from pathlib import Path

import pytest

from flowkiln.api.flow import SecretKeyRef
from flowkiln.loading.secrets import SecretNotFoundError, read_secret

KEY = SecretKeyRef(name="station", key="token")


class TestReadSecret:
    def test_text_is_not_changed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Spaces and line ends belong to the secret."""
        monkeypatch.setenv("FLOWKILN_SECRETS_DIR", str(tmp_path))
        (tmp_path / "station").mkdir()
        (tmp_path / "station" / "token").write_bytes(b" s3cret\r\n")
        assert read_secret(KEY) == " s3cret\r\n"

    def test_missing_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The message names Secret and key, and what to do without a cluster."""
        monkeypatch.setenv("FLOWKILN_SECRETS_DIR", str(tmp_path))
        with pytest.raises(SecretNotFoundError, match=r"key 'token' of Secret 'station' .* point FLOWKILN_SECRETS_DIR"):
            read_secret(KEY)

    def test_bytes_that_are_no_text(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither the message nor the chain of errors holds what the file holds."""
        monkeypatch.setenv("FLOWKILN_SECRETS_DIR", str(tmp_path))
        (tmp_path / "station").mkdir()
        (tmp_path / "station" / "token").write_bytes(b"\xff\xfe s3cret")
        with pytest.raises(SecretNotFoundError, match="not UTF-8 text") as caught:
            read_secret(KEY)
        assert "s3cret" not in str(caught.value)
        assert caught.value.__cause__ is None
