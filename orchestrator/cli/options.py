"""The parser of `headway run`, made of the table of its options.

Only argparse is imported, so that `--help` answers at once. What the values mean together is
checked by `requests`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from orchestrator.cli.option_table import GROUPS, LATER, Option, all_options
from orchestrator.cli.settings import Settings
from orchestrator.cli.words import Takes, take_apart

USAGE = (
    "headway run --experiment_name NAME --max_eval N --run_program TEXT\n"
    "                   --parameter NAME KIND VALUES [--parameter ...] [option ...]"
)
EXAMPLES = """\
Every option reads with hyphens and with underscores: --mem-gb, --mem_gb, --mem_gb=4.

examples:
  headway run --experiment_name first --max_eval 20 \\
      --parameter x range -5 5 --parameter kind choice a,b,c \\
      --run_program './program --x=%(x) --kind=%(kind)'
  headway run --experiment_name net --partition alpha --mem_gb 4 --gpus 1 --time 12:00 \\
      --worker_timeout 30 --max_eval 200 --num_parallel_jobs 16 --num_random_steps 20 \\
      --parameter lr range 1e-5 1e-1 float LOG true --parameter layers range 1 8 int \\
      --result_names LOSS=min ACCURACY=max --run_program 'python train.py $lr $layers'
  headway run --config_yaml search.yaml --max_eval 50 --dryrun

Options count in this order: command line, variables HEADWAY_<OPTION> (HEADWAY_MEM_GB=4), file of
--config_yaml, --config_toml or --config_json, profile, defaults.
"""


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Colours on a terminal only: rich takes longer to import than all else here."""
    if sys.stdout.isatty():
        from rich_argparse import RawDescriptionRichHelpFormatter

        return RawDescriptionRichHelpFormatter(prog, max_help_position=30, width=100)
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=30, width=100)


def make_parser() -> argparse.ArgumentParser:
    """Make a parser for the help and for documents; `read_command_line` is what reads one."""
    parser = argparse.ArgumentParser(
        prog="headway run",
        usage=USAGE,
        description="Search for the parameters with which a program gives the best results.",
        epilog=EXAMPLES,
        formatter_class=_formatter,
        allow_abbrev=False,
    )
    for title, options in GROUPS.items():
        titled = parser.add_argument_group(title)
        for option in options:
            _add(titled, option)
    return parser


def _add(titled: argparse._ArgumentGroup, option: Option) -> None:
    name = f"--{option.name}"
    if option.takes is Takes.NOTHING:
        titled.add_argument(name, dest=option.goes_to, action="store_true", help=option.help)
    elif option.takes is Takes.SEVERAL:
        titled.add_argument(name, metavar=option.metavar, action="append", help=option.help)
    else:
        titled.add_argument(name, metavar=option.metavar, help=option.help)


def read_command_line(words: Sequence[str]) -> Settings:
    """Read the words after `headway run`; all mistakes are kept.

    Raises:
        SystemExit: After `--help`.
    """
    options = all_options()
    line = take_apart(words, {name: option.takes for name, option in options.items()}, LATER)
    if line.wants_help:
        make_parser().print_help()
        raise SystemExit(0)
    settings = Settings(mistakes=line.mistakes, is_partial=line.is_partial)
    settings.spoiled |= {options[name].goes_to for name in line.spoiled}
    times: dict[str, list[list[str]]] = {}
    for name, given in line.given:
        # What comes last counts, also of an option and the one that switches it off.
        before = times.pop(name, [])
        times[name] = [*before, given or ["true"]]
    for name, given_words in times.items():
        settings.add(options[name], given_words, [f"--{name}"] * len(given_words))
    return settings
