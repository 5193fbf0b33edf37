"""`automl serve`: its token."""

from __future__ import annotations

import pytest

from automl.cli import main
from automl.delivery.serve.limits import Limits

pytest.importorskip("fastapi")


@pytest.mark.parametrize(
    ("given", "expected"),
    [("secret\n", "secret"), (" ", None), ("", None), (None, None), ("schlüssel", "schlüssel")],
)
def test_token_of_the_environment_is_used_and_a_made_one_is_shown(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: str | None,
    expected: str | None,
) -> None:
    found: list[Limits] = []
    monkeypatch.setattr("automl.delivery.serve.served_model.serve_model", lambda *_, **__: _Model)
    monkeypatch.setattr(
        "automl.delivery.serve.server.serve", lambda model, limits, listening: found.append(limits)
    )
    monkeypatch.delenv("AUTOML_SERVE_TOKEN", raising=False)
    if given is not None:
        monkeypatch.setenv("AUTOML_SERVE_TOKEN", given)
    assert main(["serve", "model", "--port", "0", "--token", "always"]) == 0
    token, shown = found[0].token, capsys.readouterr().out
    if expected is None:
        assert token and f"token: {token}" in shown
    else:
        assert token == expected and "token:" not in shown


class _Model:
    name, runtime = "model", "torch"
