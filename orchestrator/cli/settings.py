"""What a source says of the options: their words as the user wrote them, and what these mean.

Command line, environment, file and profile all end here, so that a value is read in one way and a
complaint about it begins with the place where it stands.
"""

from __future__ import annotations

import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.cli.option_table import Option, all_options
from orchestrator.cli.urls import is_text
from orchestrator.cli.words import Form, Takes

_TRUTHS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
# How the complaints of the checks begin: `--parameter lr: `, `--max_eval: `, `--time 5: `.
_COMPLAINT = re.compile(r"--([a-z_]+)(?: ([^:\s]+))?(?=[ :])")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What one source says of one option.

    Attributes:
        option: The option.
        words: Its words, a list for each time that it comes; those of a flag are true or false.
        places: For each time, what a complaint about it begins with: `--max_eval`,
            `HEADWAY_MAX_EVAL`, `search.yaml:3: max_eval`.
        value: What it means, as in `Settings.namespace`.
        file: The file that it stands in; None: it is no file's.
    """

    option: Option
    words: Sequence[Sequence[str]] = field(repr=False)
    places: Sequence[str]
    value: Any = field(repr=False)
    file: Path | None = None

    def place_of(self, first_word: str | None) -> str:
        """Return the last place where the option begins with a word; else the last one of all."""
        for words, place in reversed([*zip(self.words, self.places, strict=True)]):
            if first_word is not None and " ".join(words).split()[:1] == [first_word]:
                return place
        return self.places[-1]


@dataclass
class Settings:
    """What has been found so far, in one source or in several.

    Attributes:
        found: The settings, by where their values go.
        mistakes: What is wrong, one line each.
        spoiled: Where values would go that a mistake keeps from being known.
        is_partial: Whether something could not be understood at all, a file or the name of an
            option: what seems to be missing may be in it.
    """

    found: dict[str, Setting] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)
    spoiled: set[str] = field(default_factory=set)
    is_partial: bool = False

    def add(
        self,
        option: Option,
        words: Sequence[Sequence[str]],
        places: Sequence[str],
        *,
        file: Path | None = None,
    ) -> None:
        """Take what a source says of an option, or complain about it.

        Args:
            option: The option.
            words: As in `Setting`.
            places: As in `Setting`.
            file: As in `Setting`.
        """
        values = []
        for each, place in zip(words, places, strict=True):
            try:
                values.append(_read(option, each))
            except ArgumentTypeError as error:
                self.complain(f"{place}: {error}", option)
        if len(values) == len(words) and values:
            value = values if option.takes is Takes.SEVERAL else values[-1]
            self.found[option.goes_to] = Setting(
                option=option, words=words, places=places, value=value, file=file
            )

    def complain(self, mistake: str, option: Option | None = None) -> None:
        """Note what is wrong, and whose value is not known because of it; None: nobody can tell."""
        self.mistakes.append(mistake)
        if option is None:
            self.is_partial = True
        else:
            self.spoiled.add(option.goes_to)

    def placed(self, complaint: str, place: str | None = None) -> str:
        """Let the complaint of a check begin with the place where its option stands.

        Args:
            complaint: It begins with `--OPTION`.
            place: The place, if the option comes several times and it is known which one it is.
        """
        match = _COMPLAINT.match(complaint)
        setting = self.found.get(_target(match[1])) if match else None
        if match is None or setting is None:
            return complaint
        place, name = place or setting.place_of(match[2]), match[2]
        if place.startswith("--"):
            return complaint
        rest = complaint[match.end() :]
        is_named = name is None or place.endswith(f".{name}")
        return f"{place}{rest}" if is_named else f"{place} {name}{rest}"

    def namespace(self) -> Namespace:
        """Return all options by name.

        Those that were not given are None, those that take several words are lists of lists of
        words: one for each time. Times are seconds, memory is MiB.
        """
        several = {o.goes_to for o in all_options().values() if o.takes is Takes.SEVERAL}
        given: dict[str, Any] = {
            option.goes_to: [] if option.goes_to in several else None
            for option in all_options().values()
        }
        return Namespace(**given | {name: each.value for name, each in self.found.items()})


def together(sources: Iterable[Settings]) -> Settings:
    """Put sources together: of each option the first source counts that has it, as a whole.

    The mistakes of all of them are kept, also those about what another source decides.
    """
    result = Settings()
    for source in sources:
        above = result.found
        result.found = {**source.found, **above}
        result.mistakes += source.mistakes
        result.spoiled |= source.spoiled - set(above)
        result.is_partial |= source.is_partial
    return result


def is_true(word: str) -> bool:
    """Read a truth.

    Raises:
        ArgumentTypeError: It is none.
    """
    truth = _TRUTHS.get(word.strip().lower())
    if truth is None:
        raise ArgumentTypeError(f"{word!r} is neither true nor false")
    return truth


def _read(option: Option, words: Sequence[str]) -> Any:
    for word in words:
        if not is_text(Path(word)):
            said = "it" if option.name == "db_url" else repr(word)  # which may hold a password
            raise ArgumentTypeError(f"{said} is not UTF-8, and so cannot be kept")
    if option.takes is Takes.NOTHING:
        # A flag with a target of its own switches that off.
        return is_true(words[0]) is not bool(option.target)
    if option.takes is Takes.ONE:
        return option.read(words[0])
    return [" ".join(words)] if option.form is Form.LINES else list(words)


def _target(name: str) -> str:
    option = all_options().get(name)
    return name if option is None else option.goes_to
