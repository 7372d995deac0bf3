"""docs/omniopt2.md: what it says of options is so."""

from __future__ import annotations

import re

from orchestrator.cli.option_table import GROUPS, LATER
from tests.main_job.runs import ROOT

PAGE = (ROOT / "docs" / "omniopt2.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]*`--[^|]+) \| ([^|]+) \|", PAGE, flags=re.MULTILINE)
NAMES = {option.name for options in GROUPS.values() for option in options}


def options_in(text: str) -> set[str]:
    return set(re.findall(r"--([a-z_0-9]+)\b", text))


def test_options_that_are_called_the_same_are_there_and_the_others_are_not() -> None:
    assert len(ROWS) > 50
    for theirs, ours in ROWS:
        same = ours.strip() == "same"
        assert (options_in(theirs) <= NAMES) == same, theirs
        assert same or not options_in(theirs) & NAMES, theirs


def test_options_that_stand_for_others_are_there() -> None:
    for _, ours in ROWS:
        of_run = [word for word in re.findall(r"`([^`]+)`", ours) if word.startswith("--")]
        assert all(options_in(word) <= NAMES for word in of_run)


def test_what_is_not_there_yet_is_said_where_omniopt2_has_it() -> None:
    said = {name for theirs, _ in ROWS for name in options_in(theirs)}
    assert {"continue", "external_generator", "run_program_once"} <= said & set(LATER)
