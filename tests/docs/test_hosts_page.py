"""docs/hosts.md names the numbers that the code has, and every number that a decision stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.health import bursts, verdicts
from orchestrator.health.evidence import WINDOW
from orchestrator.health.failures import Blame
from orchestrator.health.verdicts import Verdicts
from orchestrator.spec.experiment import Timing

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())


@pytest.mark.parametrize(
    "words",
    [
        f"Each host's newest {WINDOW} attempts are compared",
        f"A host that is {100 * verdicts.EXCLUDE_AT:.0f} % likely to be defective",
        f"{bursts.FIRST_BURST} if none ever has, else at least {bursts.BURST} and more",
        f"An exclusion ends after {Timing().exclusion_seconds / 3600:.0f} hours",
    ],
)
def test_the_page_says_what_the_code_does(words: str) -> None:
    assert words in TEXT


def test_the_page_names_all_that_a_decision_stores() -> None:
    found = Verdicts()
    found.failed(1, "node1", Blame.PAIRED, why="the program ended with exit code 1")
    names = found.verdict("node1").evidence.keys() - {"examples"}
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_the_page_shows_the_drawing_that_is_there() -> None:
    assert "(hosts.svg)" in PAGE
    assert (ROOT / "docs" / "hosts.svg").read_text(encoding="utf-8").startswith("<svg")
