"""`headway generators`: what there is, and what is installed."""

from __future__ import annotations

import json

import pytest

from orchestrator.cli.commands import dispatch
from orchestrator.generators import strategy
from tests.cli.commands import headway


def test_every_generator_that_a_search_takes_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    dispatch(["generators", "--json"])
    rows = json.loads(capsys.readouterr().out)
    names = {word for row in rows for word in (row["name"], *row["aliases"])}
    assert names == set(strategy.known_names())
    assert [row["name"] for row in rows if row["default"]] == [strategy.resolve_model("auto")]
    for row in rows:
        assert row["installed"] == (row["install"] is None)
        if row["installed"]:
            assert strategy.resolve_model(row["name"]) == row["name"]


def test_one_that_is_not_installed_comes_with_the_command_that_installs_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strategy.Kind, "is_installed", lambda kind: not kind.packages)
    dispatch(["generators"])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "BOTORCH" in line)
    assert "pip install 'headway[botorch]'" in line


def test_what_comes_later_is_said() -> None:
    text = headway("generators").stdout
    assert "--model auto, the default, is " in text
    assert "EXTERNAL_GENERATOR" in text.splitlines()[-1]
