from __future__ import annotations

import inspect
from pathlib import Path

import cloudpickle
import pytest

from flowkiln.api.flow import SecretKeyRef
from flowkiln.loading.bound_function import BoundFunction

TOKEN = SecretKeyRef(name="station", key="token")


def fetch(token: str, rows: list[int], unit: str = "celsius") -> tuple[str, list[int], str]:
    """A body that shows what it got, and changes it."""
    rows.append(len(token))
    return token, rows, unit


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The text of the secret `TOKEN`, which can be read."""
    monkeypatch.setenv("FLOWKILN_SECRETS_DIR", str(tmp_path))
    (tmp_path / "station").mkdir()
    (tmp_path / "station" / "token").write_text("s3cret")
    return "s3cret"


class TestBoundFunction:
    def test_call_adds_constants_and_secrets(self, secret: str) -> None:
        """The function gets all three kinds of inputs by name."""
        bound = BoundFunction(fetch, {"unit": "kelvin"}, {"token": TOKEN})
        assert bound(rows=[1]) == (secret, [1, 6], "kelvin")

    def test_constants_are_fresh_for_each_call(self, secret: str) -> None:
        """A body that changes its list does not change the next run's."""
        bound = BoundFunction(fetch, {"rows": []}, {"token": TOKEN})
        bound()
        assert bound()[1] == [6]

    def test_signature_is_what_is_left(self) -> None:
        """Bound arguments are gone, the others keep their defaults."""
        signature = inspect.signature(BoundFunction(fetch, {"rows": []}, {"token": TOKEN}))
        assert str(signature).startswith("(unit: ")
        assert signature.parameters["unit"].default == "celsius"

    def test_travels_with_the_reference_alone(self, secret: str) -> None:
        """The pickled form holds no secret, and works after the journey."""
        pickled = cloudpickle.dumps(BoundFunction(fetch, {"rows": []}, {"token": TOKEN}))
        assert secret.encode() not in pickled
        assert cloudpickle.loads(pickled)()[0] == secret

    def test_repr_names_what_is_bound(self) -> None:
        """For logs: names, no values."""
        assert repr(BoundFunction(fetch, {"unit": "kelvin"}, {"token": TOKEN})) == "<fetch with unit, token>"
