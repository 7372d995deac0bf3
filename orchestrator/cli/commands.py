"""The table of commands. A command's module is imported only when it is called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import NamedTuple

from orchestrator.errors import UsageError, did_you_mean


class Command(NamedTuple):
    """One command.

    Attributes:
        module: Where it lives in this package.
        help: What it does, in a few words.
    """

    module: str
    help: str


COMMANDS = {
    "run": Command("running", "start a search: its trials run on Slurm or on this machine"),
    "stop": Command("stopping", "end a search, gently or at once, from any login node"),
    "tune": Command("tuning", "change slots or the number of trials while a search runs"),
    "resume": Command("running", "go on after a crash, a stop, or with more trials"),
    "follow": Command("looking", "live view of a search, from any login node"),
    "list": Command("looking", "all searches here"),
    "status": Command("looking", "how a search stands"),
    "trials": Command("looking", "its trials"),
    "show": Command("looking", "one trial with everything that is known of it"),
    "logs": Command("looking", "what a trial printed"),
    "why": Command("looking", "why a trial waits or failed, and what you can do"),
    "hosts": Command("hosts", "hosts, what is thought of them, and which are kept out"),
    "rules": Command("rules", "rules of your own about failures: check them"),
    "best": Command("looking", "the best trial, or the Pareto front"),
    "compare": Command("comparing", "several searches side by side"),
    "export": Command("exporting", "take the data out: csv, json, parquet, or for Ax"),
    "db": Command("database", "the store itself: info, upgrade, check, copy, replay"),
    "profile": Command("profiling", "what a cluster asks of every job: check a profile"),
    "doctor": Command("doctoring", "is this cluster fit for a search? with a probe job"),
    "generators": Command("generators_list", "the models that propose points: which are installed"),
    "completion": Command("completion", "let the Tab key complete commands, options and searches"),
}
# Commands of the design that later versions bring, and what does for now.
LATER = {
    "report": "",
}


def dispatch(words: list[str]) -> int:
    """Run the command that `words` begin with and return its exit code.

    Raises:
        UsageError: There is no such command, or it cannot be called like this.
    """
    if not words or words[0] in {"-h", "--help", "help"}:
        print(_help())
        return 0
    if words[0] in {"-V", "--version"}:
        from orchestrator.generators.versions import library_versions

        print(f"headway {library_versions(()).get('headway', '(not installed)')}")
        return 0
    name = words[0]
    command = COMMANDS.get(name)
    if command is None:
        raise UsageError(*_unknown(name))
    module = importlib.import_module(f"orchestrator.cli.{command.module}")
    run: Callable[[str, list[str]], int] = module.run
    return run(name, words[1:])


def _unknown(name: str) -> tuple[str, str]:
    if name in LATER:
        return f"{name}: this command is not available yet.", LATER[name]
    hint = did_you_mean(name, COMMANDS)
    return f"{name!r} is no command.", hint or "`headway --help` lists them."


def _help() -> str:
    width = max(map(len, COMMANDS))
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    rows = [f"  {bold}{name:<{width}}{plain}  {command.help}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"{bold}usage:{plain} headway COMMAND …",
            "",
            "Runs many trials of a program on Slurm or on this machine, and steers them.",
            "",
            *rows,
            "",
            "`headway COMMAND --help` tells more. A search is named NAME (its latest run), NAME/N,",
            "or by its run folder; without a name it is the latest one here.",
        ]
    )
