"""`--dump_config`: all options that hold, as YAML that `--config_yaml` reads back to the same run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.cli.config_files import NOT_IN_FILES
from orchestrator.cli.option_table import all_options
from orchestrator.cli.requests import RunRequest
from orchestrator.cli.settings import Setting, Settings
from orchestrator.cli.words import Form, Takes

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]+)?")
# Signs that end a line for YAML, and for nobody else.
_BREAKS = frozenset("\x85\u2028\u2029")
_HEAD = "# Made by headway run --dump_config; headway run --config_yaml FILE reads it."
_KEPT_BACK = (
    "# db_url: not written here, since it holds a password; give it with HEADWAY_DB_URL or as @FILE"
)


def dumped(settings: Settings, request: RunRequest) -> str:
    """Return the text of a file of options.

    It has what was given, and what was drawn or depends on where the command is typed: the seed, the
    number of slots, the strategy.

    Args:
        settings: The options that hold.
        request: What they mean.
    """
    import yaml

    from db.sql.engine import has_password

    lines = [_HEAD]
    found = dict(settings.found)
    url = found["db_url"].value if "db_url" in found else ""
    if url and not url.startswith("@") and has_password(url):
        lines.append(_KEPT_BACK)
        del found["db_url"]
    given = {name: _plain(setting) for name, setting in found.items() if name not in NOT_IN_FILES}
    values = given | _resolved(request)
    names = [option.goes_to for option in all_options().values()]
    ordered = {name: values[name] for name in dict.fromkeys(names) if name in values}
    body = yaml.dump(ordered, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=10**6)
    return "\n".join([*lines, body])


def _dumper() -> type[Any]:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes texts so that they are read back as they were."""

    def represent(dumper: Dumper, word: str) -> yaml.ScalarNode:
        style = None
        if _BREAKS.intersection(word):
            style = '"'  # PyYAML 6 writes them bare, and reads them as a new line
        elif "\n" in word.strip() and not word[0].isspace():
            style = "|"
        return dumper.represent_scalar("tag:yaml.org,2002:str", word, style=style)

    Dumper.add_representer(str, represent)
    return Dumper


def _resolved(request: RunRequest) -> dict[str, Any]:
    """Return what else would differ from one command to the next, or from machine to machine."""
    spec = request.spec
    values: dict[str, Any] = {"seed": spec.seed, "num_parallel_jobs": spec.num_parallel_jobs}
    if request.options.generation_strategy is None:
        first, *others = spec.strategy.nodes
        values["model"] = (others or [first])[-1].generator
        if others:
            values["num_random_steps"] = first.num_trials
    return values


def _plain(setting: Setting) -> Any:
    """Return what a file has to hold for a setting."""
    if setting.option.takes is Takes.NOTHING:
        return setting.value
    if setting.option.takes is Takes.ONE:
        return _single(setting)
    words = [word for each in setting.words for word in each]
    by_form: dict[Form, Any] = {
        Form.TEXT: " ".join(words),
        Form.PARAMETER: [_parameter(each) for each in setting.words],
        Form.LINES: [" ".join(each) for each in setting.words],
        Form.PAIRS: _pairs(words),
    }
    return by_form.get(setting.option.form, words)


def _single(setting: Setting) -> str | int | float:
    word = setting.words[-1][0]
    if not _NUMBER.fullmatch(word):
        return word
    number = float(word) if "." in word else int(word)
    return number if str(number) == word else word


def _parameter(words: Sequence[str]) -> str | list[str]:
    text = " ".join(words)
    return text if text.split() == list(words) or len(words) == 1 else list(words)


def _pairs(words: Sequence[str]) -> Mapping[str, str] | Sequence[str]:
    pairs = [word.partition("=") for word in words]
    named = {key: value for key, equals, value in pairs if equals}
    return named if len(named) == len(words) else words
