"""Rules of the user's own: which of them fits a failure, and which make no sense."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.spec.rules import MAX_RESTARTS, Behavior, Rule, first_fitting
from tests.steps.specs import make_spec

LOG = "epoch 1\nRead/Write failure on /data\nTimeout after 12 s\n"


def rule(name: str = "r", behavior: str = "Restart", **changes: Any) -> Rule:
    return Rule.model_validate({"name": name, "behavior": behavior, **changes})


@pytest.mark.parametrize(
    ("changes", "exit_code", "fitting"),
    [
        ({"match_strings": ["timeout"]}, 1, "the text 'timeout'"),
        ({"match_strings": ["nothing", "READ/WRITE"]}, None, "the text 'READ/WRITE'"),
        ({"match_strings": "Timeout"}, 1, "the text 'Timeout'"),
        ({"match_strings": ["other"]}, 1, None),
        ({"match_regex": [r"after \d+ s"]}, 1, r"'after 12 s', by 'after \\d+ s'"),
        ({"match_regex": [r"^Timeout.*s$"]}, 1, "'Timeout after 12 s', by '^Timeout.*s$'"),
        ({"match_regex": [r"timeout"]}, 1, None),
        ({"match_regex": [r"failure.*Timeout"]}, 1, None),
        ({"exit_codes": [3, 4]}, 4, "exit code 4"),
        ({"exit_codes": 3}, 3, "exit code 3"),
        ({"exit_codes": [3]}, 4, None),
        ({"exit_codes": [3]}, None, None),
        ({"exit_codes": [3], "match_strings": ["Timeout"]}, 3, "the text 'Timeout'"),
        ({"exit_codes": [3], "match_strings": ["Timeout"]}, 1, None),
        ({"exit_codes": [3], "match_strings": ["other"]}, 3, None),
        ({"match_strings": ["other"], "match_regex": ["Time"]}, 1, "'Time', by 'Time'"),
    ],
)
def test_a_rule_fits_by_its_texts_and_its_exit_codes(
    changes: dict[str, Any], exit_code: int | None, fitting: str | None
) -> None:
    assert rule(**changes).fits(LOG, exit_code) == fitting


def test_the_first_rule_that_fits_decides() -> None:
    rules = (
        rule("other", match_strings=["other"]),
        rule("time", match_strings=["timeout"]),
        rule("disk", match_strings=["read/write"]),
    )
    assert first_fitting(rules, LOG, 1) == (rules[1], "the text 'timeout'")
    assert first_fitting(rules, "", 1) is None
    assert first_fitting((), LOG, 1) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "needs match_strings, match_regex or exit_codes"),
        ({"match_strings": []}, "needs match_strings, match_regex or exit_codes"),
        ({"match_strings": [" "]}, "an empty text would fit every log"),
        ({"match_strings": ["a\0"]}, "holds characters that no log holds"),
        ({"match_regex": ["\ud800"]}, "holds characters that no log holds"),
        ({"match_regex": ["x*"]}, "'x*' would fit every log"),
        ({"match_regex": ["(x"]}, "is no regular expression: missing )"),
        ({"match_regex": ["x{99999999999}"]}, "the repetition number is too large"),
        ({"match_regex": ["(" * 3000 + "x" + ")" * 3000]}, "is nested too deeply"),
        ({"exit_codes": [0]}, "from 1 to 255"),
        ({"exit_codes": [256]}, "from 1 to 255"),
        ({"exit_codes": [1], "max_restarts": -1}, "greater than or equal to 0"),
        ({"exit_codes": [1], "name": ""}, "at least 1 character"),
        ({"exit_codes": [1], "name": "two\nlines"}, "in one line"),
        ({"exit_codes": [1], "name": "  "}, "is no name"),
        ({"exit_codes": [1], "restarts": 2}, "Extra inputs"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        rule(**changes)
    assert said in str(caught.value)


def test_a_rule_without_a_limit_ends_somewhere() -> None:
    assert rule(exit_codes=[1]).max_restarts == MAX_RESTARTS == 3


def test_rules_are_part_of_the_frozen_specification() -> None:
    given = rule("a", "ExcludeNodeAndRestartAll", match_regex=["x+"], exit_codes=[1, 2])
    spec = make_spec(rules=[given.model_dump(mode="json")])
    again = type(spec).from_json(spec.to_json())
    assert again.rules == (given,)
    assert again.rules[0].behavior is Behavior.EXCLUDE_NODE_AND_RESTART_ALL


def test_a_log_that_is_one_long_line_is_searched_in_no_time() -> None:
    """A progress bar may write 16 KB without a line break; the head waits meanwhile."""
    slow = rule(match_regex=["x.*y.*z"], match_strings=["nowhere"])
    began = time.perf_counter()
    assert slow.fits("xy" * 8_000, 1) is None
    assert time.perf_counter() - began < 30


def test_a_search_that_would_never_end_is_given_up_and_the_next_rule_asked() -> None:
    slow: dict[str, str] = {}
    rules = (rule("slow", match_regex=["(a+)+b", "c"]), rule("next", match_strings=["aaa"]))
    assert first_fitting(rules, "a" * 60, 1, slow) == (rules[1], "the text 'aaa'")
    assert slow == {"(a+)+b": "slow"}
    assert rules[0].fits("aab", 1, slow) is None, "not asked again"
    assert rules[0].fits("a" * 60 + "c", 1, slow) == "'c', by 'c'"
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)
    assert signal.getsignal(signal.SIGVTALRM) is signal.SIG_DFL


def test_what_a_later_python_may_read_otherwise_is_nobodys_worry_here() -> None:
    assert rule(match_regex=["[[a]x"]).fits("an ax", 1)


def test_a_text_in_a_long_line_is_found() -> None:
    line = "=" * 70_000 + "Read/Write failure" + "=" * 70_000
    assert rule(match_strings=["write FAILURE"]).fits(line, 1)
    assert rule(match_regex=["W[a-z]+e f"]).fits(line, 1)
