"""docs/failures.md says what the code does, and its rules can be used."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from db.states import FailureClass
from orchestrator.health import description
from orchestrator.health.classes import CLASSES, remedy_of
from orchestrator.health.description import MARK, fill, render
from orchestrator.health.patterns import JOB_TABLE, TABLE
from orchestrator.spec.rules import Behavior
from orchestrator.spec.rules_file import read_rules
from tests.main_job.runs import ROOT

PATH = ROOT / "docs" / "failures.md"
PAGE = PATH.read_text(encoding="utf-8")


def test_the_page_is_what_make_docs_would_write() -> None:
    assert fill(PAGE) == PAGE, "docs/failures.md is stale: run `make docs`"


def test_make_docs_writes_a_stale_page_anew_and_keeps_its_first_half(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# By hand\n\n{MARK}\n\nstale\n")
    subprocess.run([sys.executable, "-m", description.__name__, str(page)], cwd=ROOT, check=True)
    assert page.read_text() == f"# By hand\n\n{MARK}\n\n{render()}"


def test_a_page_without_the_mark_is_left_alone() -> None:
    with pytest.raises(ValueError, match="lacks the line"):
        fill("# Something else\n")


def test_every_class_and_pattern_is_on_the_page() -> None:
    assert CLASSES.keys() == set(FailureClass)
    for kind in FailureClass:
        assert f"\n### {kind}\n" in PAGE
        assert f"\n| {kind} | " in PAGE
    for pattern in (*TABLE, *JOB_TABLE):
        assert f"\n**`{pattern.name}`** {pattern.failure}: {pattern.says}." in PAGE
        assert pattern.regex in PAGE


def test_the_rules_of_the_page_are_right(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    rules = read_rules(path)
    assert len(rules) == 3
    assert rules[1].fits("FlexNet Licensing error:-15,570", 3)
    assert not rules[1].fits("FlexNet Licensing error:-15,570", 1)


def test_every_behavior_is_on_the_page() -> None:
    for behavior in Behavior:
        assert f"\n| `{behavior.value}` | " in PAGE


def test_a_pattern_gives_better_advice_than_its_class() -> None:
    for pattern in (*TABLE, *JOB_TABLE):
        assert remedy_of(pattern.failure, pattern.name) == pattern.remedy
    program = CLASSES[FailureClass.PROGRAM].remedy
    assert remedy_of(FailureClass.PROGRAM, None) == program
    assert remedy_of(FailureClass.RULE, "gpu-memory") == CLASSES[FailureClass.RULE].remedy
