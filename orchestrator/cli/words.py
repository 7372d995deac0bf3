"""The words of a command line, before argparse reads them.

argparse alone cannot do what users of OmniOpt2 expect: options with hyphens or underscores, values
that begin with a hyphen (`-1e-5`, `-O2`), options that take several words, and an error that says
which option was probably meant. So the words are first brought to the form `--option=value`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum

from orchestrator.errors import UsageError, did_you_mean

SEPARATOR = "\x1f"  # "unit separator": joins the words of an option that takes several
_OPTION = re.compile(r"--([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?", re.DOTALL)


class Takes(Enum):
    """How many words an option takes."""

    NOTHING = "nothing"
    ONE = "one word"
    SEVERAL = "one word or more"


def canonical_words(
    words: Sequence[str], options: Mapping[str, Takes], later: Mapping[str, str]
) -> list[str]:
    """Bring a command line to the form `--option=value`.

    Args:
        words: As the user typed them.
        options: What each known option takes; names with underscores, without `--`.
        later: Options that this version does not have yet, and what to do instead.

    Raises:
        UsageError: An option is unknown, not there yet, lacks its value, or has one too many; or a
            word belongs to no option.
    """
    result: list[str] = []
    rest = list(words)
    before = ""
    while rest:
        word = rest.pop(0)
        if word in {"-h", "--help"}:
            result.append("--help")
            continue
        name, value = _split(word, before)
        takes = _find(name, options, later, before)
        if takes is Takes.NOTHING:
            if value is not None:
                raise UsageError(f"--{name}: takes no value, but {value!r} was given")
            result.append(f"--{name}")
        else:
            values = [] if value is None else [value]
            room = 1 if takes is Takes.ONE else len(words)
            while rest and len(values) < room and not _OPTION.fullmatch(rest[0]):
                values.append(rest.pop(0))
            if not values:
                raise UsageError(f"--{name}: needs a value")
            result.append(f"--{name}={SEPARATOR.join(values)}")
        before = name
    return result


def _split(word: str, before: str) -> tuple[str, str | None]:
    match = _OPTION.fullmatch(word)
    if match is None:
        where = f" after --{before}" if before else ""
        raise UsageError(f"{word!r}{where} belongs to no option.", "Quote values that hold spaces.")
    return match[1].replace("-", "_"), match[2]


def _find(name: str, options: Mapping[str, Takes], later: Mapping[str, str], before: str) -> Takes:
    takes = options.get(name)
    if takes is not None:
        return takes
    if name in later:
        raise UsageError(f"--{name}: is not available yet.", later[name])
    hint = did_you_mean(f"--{name}", [f"--{option}" for option in options])
    if not hint and before == "run_program":
        hint = "Put the whole program between quotes."
    raise UsageError(f"--{name}: there is no such option.", hint or "See headway run --help")
