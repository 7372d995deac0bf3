"""The words of a command line, taken apart option by option.

argparse alone cannot do what users of OmniOpt2 expect: options with hyphens or underscores, values
that begin with a hyphen (`-1e-5`, `-O2`), options that take several words, an error that says which
option was probably meant, and all errors at once. So it only makes the help.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from orchestrator.errors import did_you_mean

_OPTION = re.compile(r"--([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?", re.DOTALL)


class Takes(Enum):
    """How many words an option takes."""

    NOTHING = "nothing"
    ONE = "one word"
    SEVERAL = "one word or more"


class Form(Enum):
    """What the words of an option are, and so what a file may hold for it."""

    LIST = "one word, the parts of which are separated by commas; a file may list them"
    WORDS = "each stands for itself"
    PAIRS = "each is KEY=VALUE; a file may give keys with values instead"
    TEXT = "together they are one text; the option comes once"
    LINES = "together they are one line; the option comes once for each"
    TEXTS = "each is a text of its own"
    PARAMETER = "together they are one parameter"


@dataclass
class CommandLine:
    """A command line, taken apart.

    Attributes:
        given: Each option that was found, with its words, in order.
        mistakes: What is wrong, one line each.
        spoiled: The options that a mistake is about: what they were to say is not known.
        is_partial: Whether there are words that nobody can tell what they were to say.
        wants_help: Whether `--help` is there.
    """

    given: list[tuple[str, list[str]]] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    spoiled: set[str] = field(default_factory=set)
    is_partial: bool = False
    wants_help: bool = False


def take_apart(
    words: Sequence[str], options: Mapping[str, Takes], later: Mapping[str, str]
) -> CommandLine:
    """Find the options of a command line, and all that is wrong with their form.

    That is: an option is unknown, not there yet, lacks its value, or has one too many; or a word
    belongs to no option.

    Args:
        words: As the user typed them.
        options: What each known option takes; names with underscores, without `--`.
        later: Options that this version does not have yet, and what to do instead.
    """
    line = CommandLine()
    rest = list(words)
    before = ""
    while rest:
        word = rest.pop(0)
        match = _OPTION.fullmatch(word)
        if word in {"-h", "--help"}:
            line.wants_help = True
        elif match is None:
            line.mistakes.append(_stray(word, before))
            line.is_partial = True
            _values(rest)  # one complaint is enough for all that follows it
        else:
            name = match[1].replace("-", "_")
            if name in options:
                _take(line, name, options[name], match[2], rest)
            else:
                line.mistakes.append(_unknown(name, options, later, before))
                line.is_partial = True
                _values(rest)
            before = name
    return line


def _take(line: CommandLine, name: str, takes: Takes, value: str | None, rest: list[str]) -> None:
    """Note an option and remove its words from those that are left."""
    if takes is Takes.NOTHING:
        if value is not None:
            line.mistakes.append(f"--{name}: takes no value, but {value!r} was given")
            line.spoiled.add(name)
        line.given.append((name, []))
        return
    values = [] if value is None else [value]
    if takes is Takes.SEVERAL:
        values += _values(rest)
    elif not values and rest and not _OPTION.fullmatch(rest[0]):
        values.append(rest.pop(0))
    if values:
        line.given.append((name, values))
    else:
        line.mistakes.append(f"--{name}: needs a value")
        line.spoiled.add(name)


def _values(rest: list[str]) -> list[str]:
    """Remove the words before the next option and return them."""
    values = []
    while rest and not _OPTION.fullmatch(rest[0]):
        values.append(rest.pop(0))
    return values


def _stray(word: str, before: str) -> str:
    if before == "db_url":  # it may be a piece of a password
        return "--db_url: takes one word, and more was given. Quote values that hold spaces."
    where = f" after --{before}" if before else ""
    return f"{word!r}{where} belongs to no option. Quote values that hold spaces."


def _unknown(name: str, options: Mapping[str, Takes], later: Mapping[str, str], before: str) -> str:
    hint = "Put the whole program between quotes." if before == "run_program" else ""
    return unknown_option(name, options, later, form="--{}", hint=hint)


def unknown_option(
    name: str,
    options: Iterable[str],
    later: Mapping[str, str],
    *,
    form: str = "{}",
    hint: str = "",
) -> str:
    """Say that there is no such option, and which one was probably meant.

    Args:
        name: With underscores, without `--`.
        options: Those that there are.
        later: Options that this version does not have yet, and what to do instead.
        form: How an option is written where this one was found.
        hint: What to say if none was meant.
    """
    written = form.format(name)
    if name in later:
        return f"{written}: is not available yet. {later[name]}".strip()
    known = list(options)
    # What all of them begin with would make any two words alike.
    is_near = did_you_mean(name, known)
    near = did_you_mean(written, map(form.format, known)) if is_near else ""
    hint = near or hint or "See headway run --help"
    return f"{written}: there is no such option. {hint}"
