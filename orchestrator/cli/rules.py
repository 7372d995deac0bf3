"""`headway rules check`: whether a rules file is right, and what it would make of a log.

Only argparse is imported until the words have been read.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from orchestrator.cli.outputs import answer, answered
from orchestrator.cli.parser import Parser
from orchestrator.cli.quantities import text, whole
from orchestrator.cli.urls import user_path
from orchestrator.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from orchestrator.spec.rules import Rule

COMMANDS = {"check": "is a rules file right, and what would it make of a log?"}


def run(name: str, words: list[str]) -> int:
    """Run `headway rules …` and return its exit code.

    Raises:
        UsageError: It cannot be called like this, or the rules are wrong.
    """
    if not words or words[0] in {"-h", "--help", "help"}:
        print(_help())
        return 0
    if words[0] not in COMMANDS:
        hint = did_you_mean(words[0], COMMANDS) or "`headway rules --help` lists them."
        raise UsageError(f"{name} {words[0]}: there is no such command.", hint)
    return answered(make_parser(words[0]).parse(words[1:]), check)


def make_parser(name: str) -> Parser:
    """Make the parser of one command on rules."""
    parser = Parser(
        f"rules {name}",
        "Say whether a rules file is right, and what it would make of a log.\n"
        "Exit code 1: a log or an exit code was given, and no rule fits.",
        (
            "headway rules check rules.yaml",
            "headway rules check rules.yaml --log runs/first/1/logs/ab/abc_0.log --exit_code 1",
        ),
    )
    parser.add_argument(
        "file", metavar="FILE", type=text, help="as for --orchestrator_file of headway run"
    )
    parser.add_argument("--log", metavar="LOG", help="log of a trial, or any text")
    parser.add_argument(
        "--exit_code", metavar="N", type=whole(0, 255), help="exit code of its program"
    )
    parser.add_json()
    return parser


def check(given: argparse.Namespace) -> int:
    """Read the rules, and try them on a log or an exit code if one was given.

    Raises:
        UsageError: A file cannot be read, or the rules are wrong; one line for each mistake.
    """
    from orchestrator.cli.rule_words import does, fits
    from orchestrator.reports.tables import print_rows
    from orchestrator.spec.rules_file import read_rules

    try:
        rules = read_rules(user_path(given.file, "rules check"))
    except UsageError as error:
        message = error.message.replace("--orchestrator_file", "rules check", 1)
        raise UsageError(message, error.hint) from None
    is_tried = given.log is not None or given.exit_code is not None
    found = _try(rules, given) if is_tried else None
    listed = [rule.model_dump(mode="json") for rule in rules]

    def say() -> None:
        rows = [{**rule.model_dump(), "fits": fits(rule), "then": does(rule)} for rule in rules]
        if rows:
            print_rows(rows, ("name", "fits", "then"), stream=sys.stdout)
            print()
        for expression, rule in found["too_slow"].items() if found else ():
            print(f"{rule}: {expression!r} takes too long here, and is left out in such a run.")
        right = "The file is right." if rows else "The file is right, and has no rules."
        print(_sentence(found, has_log=given.log is not None) if found else right)

    answer(given, {"rules": listed, "found": found}, say=say, table=listed)
    return 1 if found is not None and found["rule"] is None else 0


def _try(rules: tuple[Rule, ...], given: argparse.Namespace) -> dict[str, Any]:
    """Return what a failure with this log and exit code is, by the rules or Headway's own table."""
    from orchestrator.cli.rule_words import does
    from orchestrator.health.patterns import find_pattern, find_slurms_word
    from orchestrator.spec.rules import first_fitting

    log = "" if given.log is None else _end_of(given.log)
    slow: dict[str, str] = {}
    fitting = first_fitting(rules, log, given.exit_code, slow)
    pattern = find_pattern(log) or find_slurms_word(log)
    return {
        "rule": fitting[0].name if fitting else None,
        "by": fitting[1] if fitting else None,
        "does": does(fitting[0]) if fitting else None,
        "too_slow": slow,
        "pattern": pattern[0].name if pattern else None,
        "failure": pattern[0].failure.value if pattern else None,
        "says": pattern[0].says if pattern else None,
        "line": pattern[1] if pattern else None,
    }


def _end_of(word: str) -> str:
    """Return the part of a log that a run looks at.

    Raises:
        UsageError: It cannot be read.
    """
    from orchestrator.steps.log_ends import read_end

    path = user_path(word, "--log")
    try:
        return read_end(path)
    except OSError as error:
        raise UsageError(f"--log: {word!r} cannot be read: {error.strerror}") from None


def _sentence(found: dict[str, Any], *, has_log: bool) -> str:
    if found["rule"] is not None:
        return f"{found['rule']} fits, by {found['by']}: {found['does']}."
    if not has_log:
        return "No rule fits this exit code alone; --log LOG tries the texts as well."
    if found["pattern"] is not None:
        own = f"{found['failure']} ({found['pattern']}): {found['says']}"
        return f"No rule fits. Headway's own table says {own}; by {found['line']!r}."
    return "No rule fits, and Headway's own table does not know this log either."


def _help() -> str:
    rows = [f"  {name:<6} {text}" for name, text in COMMANDS.items()]
    lines = ["usage: headway rules COMMAND …", "", "Rules of your own about failures.", ""]
    return "\n".join([*lines, *rows, "", "`headway rules COMMAND --help` tells more."])
