"""Where the options of `headway run` come from, and which source counts.

The command line counts before the environment, that before the file of `--config_…`, that before the
profile, and all of them before the defaults. Of an option that several sources have, the first one
counts as a whole: parameters of a file and of the command line are not mixed.
"""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.config_files import FORMS, read_config
from orchestrator.cli.option_table import Option, all_options
from orchestrator.cli.options import read_command_line
from orchestrator.cli.settings import Settings, together
from orchestrator.cli.urls import expanded
from orchestrator.cli.words import Form, Takes
from orchestrator.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from orchestrator.cli.profiles import ProfileFile

PREFIX = "HEADWAY_"
# Trials find these in their environment, and one of them may start a search of its own.
_OF_TRIALS = frozenset(
    {"SNAPSHOT", "TRIAL", "ATTEMPT", "PARAMS_FILE", "CHECKPOINT_DIR", "TIME_LEFT"}
)
_PARAMETER = "PARAM_"
_NOT_FROM_VARIABLES = frozenset({"snapshot", "dump_config"})


@dataclass(frozen=True, kw_only=True)
class Sources:
    """All options of a run, put together.

    Attributes:
        settings: Those that hold; with the mistakes of all sources.
        profile: The profile; None: there is none.
        notices: What the user should know about where options come from, one line each.
    """

    settings: Settings = field(default_factory=Settings)
    profile: ProfileFile | None = None
    notices: tuple[str, ...] = ()

    @property
    def namespace(self) -> Namespace:
        """All options by name, as `Settings.namespace` gives them."""
        return self.settings.namespace()


def read_sources(words: Sequence[str], environment: Mapping[str, str], cwd: Path) -> Sources:
    """Read the command line and all that it leads to; mistakes are kept, not raised.

    Args:
        words: The words after `headway run`.
        environment: For the variables HEADWAY_<OPTION>.
        cwd: Where the user typed the command.

    Raises:
        SystemExit: After `--help`.
    """
    typed = read_command_line(words)
    variables = read_environment(environment)
    layers = [typed, variables, *_config(typed, variables, cwd)]
    profile, of_profile = _profile(together(layers), environment)
    layers.append(of_profile)
    notices = (*_unknown_variables(environment), *_hidden(layers))
    return Sources(settings=together(layers), profile=profile, notices=notices)


def read_environment(environment: Mapping[str, str]) -> Settings:
    """Read the variables HEADWAY_<OPTION>; one that is empty counts as not there."""
    settings = Settings()
    for name, option in all_options().items():
        variable = f"{PREFIX}{name.upper()}"
        text = environment.get(variable, "")
        if text.strip() and name not in _NOT_FROM_VARIABLES:
            try:
                words = _split(option, text)
            except ValueError as error:
                settings.complain(f"{variable}: {text!r} is not understood: {error}", option)
            else:
                settings.add(option, words, [variable] * len(words))
    return settings


def _split(option: Option, text: str) -> list[list[str]]:
    """Return the words of a variable: blanks part them, or lines where each line is a text."""
    if option.takes is not Takes.SEVERAL or option.form is Form.TEXT:
        return [[text]]
    if option.form in {Form.WORDS, Form.PAIRS}:
        return [shlex.split(text)]
    return [[line.strip()] for line in text.splitlines() if line.strip()]


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Say which variables look like options and are none."""
    known = [f"{PREFIX}{name.upper()}" for name in all_options()]
    said = []
    for variable in environment:
        name = variable.removeprefix(PREFIX)
        if name == variable or variable in known or name in _OF_TRIALS:
            continue
        hint = did_you_mean(name, all_options())
        if hint and not name.startswith(_PARAMETER):
            said.append(f"{variable}: no option has this name, and so it says nothing. {hint}")
    return said


def _config(typed: Settings, variables: Settings, cwd: Path) -> list[Settings]:
    """Read the file of options, if there is one."""
    for source in (typed, variables):
        named = [source.found[name] for name in FORMS if name in source.found]
        if len(named) > 1:
            first, second = (setting.places[0] for setting in named[:2])
            said = f"{second}: {first} is given too; give one file"
            return [Settings(mistakes=[said], is_partial=True)]
        if named:
            (place,), option = named[0].places, named[0].option.name
            try:
                path = cwd / expanded(named[0].value, place)
            except UsageError as error:
                return [Settings(mistakes=[str(error)], is_partial=True)]
            return [read_config(path, option=option, shown=named[0].value)]
    return []


def _profile(
    chosen: Settings, environment: Mapping[str, str]
) -> tuple[ProfileFile | None, Settings]:
    """Read the profile, if there is one."""
    if "profile" not in chosen.found:
        return None, Settings()
    from orchestrator.cli.profiles import find_profile

    try:
        profile = find_profile(chosen.found["profile"].value, environment)
    except UsageError as error:
        lines = str(error).split("\n")
        return None, Settings(mistakes=[chosen.placed(line) for line in lines], is_partial=True)
    return profile, profile.settings


def _hidden(layers: Sequence[Settings]) -> list[str]:
    """Say where a file lists things that do not count, since another source lists some too."""
    said = []
    for i, layer in enumerate(layers):
        for target, setting in layer.found.items():
            above = next((each.found[target] for each in layers[:i] if target in each.found), None)
            if above and setting.file and setting.option.takes is Takes.SEVERAL:
                what = f"{setting.option.name} of {setting.file.name}"
                said.append(f"{what}: does not count, since {above.places[0]} is given")
    return said
