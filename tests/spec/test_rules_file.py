"""The rules file: OmniOpt2's form and ours, and each mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator.spec.rules import Behavior, Rule
from orchestrator.spec.rules_file import read_rules

# As in the manual of OmniOpt2.
OMNIOPT = """errors:
  - name: GPUDisconnected
    match_strings:
      - "AssertionError: AmpOptimizerWrapper is only available"
    behavior: ExcludeNode

  - name: Timeout
    match_strings:
      - "Timeout"
    behavior: RestartOnDifferentNode

  - name: ExampleRestart
    match_strings:
      - "StartAgain"
    behavior: Restart

  - name: StorageError
    match_strings:
      - "Read/Write failure"
    behavior: ExcludeNodeAndRestartAll
"""
KEYS = "name, match_strings, match_regex, exit_codes, behavior, max_restarts"
BEHAVIORS = "ExcludeNode, Restart, RestartOnDifferentNode, ExcludeNodeAndRestartAll"
GOOD = "  - {name: a, match_strings: [b], behavior: Restart}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rules.yaml"


def complaints(path: Path, text: str) -> list[str]:
    """What is said about a file, without its name."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_rules(path)
    assert caught.value.exit_code == 2
    lines = caught.value.message.splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


def test_a_file_of_omniopt2_is_read_as_it_is(path: Path) -> None:
    path.write_text(OMNIOPT)
    rules = read_rules(path)
    assert [(rule.name, rule.behavior) for rule in rules] == [
        ("GPUDisconnected", Behavior.EXCLUDE_NODE),
        ("Timeout", Behavior.RESTART_ON_DIFFERENT_NODE),
        ("ExampleRestart", Behavior.RESTART),
        ("StorageError", Behavior.EXCLUDE_NODE_AND_RESTART_ALL),
    ]
    assert rules[3].match_strings == ("Read/Write failure",)


def test_the_extensions_are_read(path: Path) -> None:
    path.write_text(
        "errors:\n- name: x\n  match_regex: 'a+b'\n  exit_codes: [1, 0x2, 3]\n".replace("0x2", "2")
        + "  behavior: Restart\n  max_restarts: 7\n"
    )
    wanted = Rule(
        name="x",
        match_regex=("a+b",),
        exit_codes=(1, 2, 3),
        behavior=Behavior.RESTART,
        max_restarts=7,
    )
    assert read_rules(path) == (wanted,)


def test_texts_are_taken_as_they_are_written(path: Path) -> None:
    """YAML alone would make a number, a truth and a date of these."""
    path.write_text("errors:\n- {name: 404, match_strings: [yes, 2024-13-45], behavior: Restart}\n")
    assert read_rules(path)[0].match_strings == ("yes", "2024-13-45")
    assert read_rules(path)[0].name == "404"


def test_no_rules_are_fine(path: Path) -> None:
    path.write_text("errors: []\n")
    assert read_rules(path) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1: needs a list called `errors`, one entry a rule."),
        ("# nothing\n", "1: needs a list called `errors`, one entry a rule."),
        (
            "\nerror:\n" + GOOD,
            "2: needs a list called `errors`, one entry a rule. The file has error",
        ),
        ("errors: 3\n", "1: needs a list called `errors`, one entry a rule."),
        ("- a\n", "1: needs a list called `errors`, one entry a rule."),
        ("errors:\n" + GOOD + "  - b\n", "3: a rule has `name`, `match_strings` and `behavior`"),
        ("errors:\n  - name: a\n    match_strings: [b]\n", "2: behavior is missing"),
        (
            "errors:\n  - name: a\n    match_strings: [b]\n    behavior: restart_node\n",
            f"4: behavior: 'restart_node' is none of {BEHAVIORS}. Did you mean Restart?",
        ),
        (
            "errors:\n  - name: a\n    match_string: [b]\n    behavior: Restart\n",
            f"3: match_string is no key of a rule; there are {KEYS}. Did you mean match_strings?",
        ),
        (
            "errors:\n  - name: a\n    match_regex: ['(b']\n    behavior: Restart\n",
            "3: match_regex: '(b' is no regular expression: missing ), unterminated subpattern at",
        ),
        (
            "errors:\n  - {name: a, exit_codes: [one], behavior: Restart}\n",
            "2: exit_codes: 'one' is no whole number",
        ),
        ("errors:\n" + GOOD + GOOD, "3: 'a' is also in line 2"),
        ("errors:\n  - name: a\n    name: b\n", "3: name is there twice, first in line 2"),
        ("errors:\n" + GOOD + "errors: []\n", "3: errors is there twice, first in line 1"),
        ("errors:\n  - {name: [a], behavior: Restart}\n", "2: name: needs one text"),
        ("errors:\n  - {name: a, match_strings: {b: c}}\n", "2: match_strings: needs a text, or"),
        ("errors:\n  - {name: a, match_strings: [[b]]}\n", "2: match_strings: needs texts, or"),
        ("errors:\n  - {name: a, behavior: Restart}\n", "2: needs match_strings, match_regex or"),
        ("errors:\n  - {? [a] : b}\n", "2: ? is no key of a rule"),
        ("errors:\n\t- name: a\n", "2: found character '\\t' that cannot start any token"),
        ("errors: [a\n", "2: expected ',' or ']', but got '<stream end>'"),
        ("errors:\n  - name: *nobody\n", "2: found undefined alias 'nobody'"),
        ("a: 1\n---\nb: 2\n", "2: but found another document"),
        ("errors: \x01\n", "1: it is not YAML: special characters are not allowed"),
        ("errors: " + "[" * 5000, "1: it is nested too deeply"),
    ],
)
def test_a_mistake_is_told_with_its_line(path: Path, text: str, said: str) -> None:
    found = complaints(path, text)
    assert any(line.startswith(said) for line in found), found


def test_all_mistakes_are_told_at_once(path: Path) -> None:
    text = (
        "errors:\n  - name: a\n    behavior: Rstart\n    match_strings: ['']\n  - x\n" + GOOD + GOOD
    )
    found = complaints(path, text)
    assert sorted(line.partition(":")[0] for line in found) == ["3", "4", "5", "7"]


@pytest.mark.parametrize("how", ["missing", "folder", "bytes"])
def test_a_file_that_cannot_be_read_names_the_option(path: Path, how: str) -> None:
    if how == "folder":
        path.mkdir()
    elif how == "bytes":
        path.write_bytes(b"errors: \xff\n")
    with pytest.raises(UsageError) as caught:
        read_rules(path)
    said = {
        "missing": "No such file or directory",
        "folder": "Is a directory",
        "bytes": "it is not UTF-8 text",
    }
    assert caught.value.message == f"--orchestrator_file: {path} cannot be read: {said[how]}"


WORDS = (
    "errors:|name: a|behavior: Restart|match_strings:|match_regex: (a|exit_codes: 3|2024-99-99|0b"
)
SIGNS = "\n,\t, ,  - ,[,],{,},&x ,*x,<<: ,!t ,!!binary ,? ,: ,',\",%,@,1,~,---,...,#,\u2028"
PIECES = st.sampled_from([*WORDS.split("|"), *SIGNS.split(","), "|", ","])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECES, max_size=30))
def test_whatever_stands_in_a_file_it_is_read_or_complained_about(
    path: Path, pieces: list[str]
) -> None:
    path.write_text("".join(pieces), encoding="utf-8")
    try:
        rules = read_rules(path)
    except UsageError as error:
        assert error.message.startswith(f"{path}:")  # noqa: PT017 - most texts are refused
    else:
        assert all(isinstance(rule, Rule) for rule in rules)
