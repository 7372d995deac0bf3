"""What a rule of the user's own fits and does, in words."""

from __future__ import annotations

from orchestrator.spec.rules import Behavior, Rule


def fits(rule: Rule) -> str:
    """Say what a failure must have for a rule to fit."""
    texts = [
        *(repr(text) for text in rule.match_strings),
        *(f"/{text}/" for text in rule.match_regex),
    ]
    codes = " or ".join(map(str, rule.exit_codes))
    parts = [" or ".join(texts), f"exit code {codes}" if codes else ""]
    return ", and ".join(part for part in parts if part)


def does(rule: Rule) -> str:
    """Say what is done about a failure that a rule fits."""
    times = "once" if rule.max_restarts == 1 else f"up to {rule.max_restarts} times"
    match rule.behavior:
        case Behavior.EXCLUDE_NODE:
            return "its host is kept out, and the trial is not tried again"
        case Behavior.RESTART:
            return f"the trial is tried again, {times}"
        case Behavior.RESTART_ON_DIFFERENT_NODE:
            return f"the trial is tried again on another host, {times}"
        case Behavior.EXCLUDE_NODE_AND_RESTART_ALL:
            return f"its host is kept out, and all trials there are tried again elsewhere, {times}"
