"""The options of `headway run`: one table, and the parser made of it.

Only argparse is imported, so that `--help` answers at once. What the values mean together is
checked by `requests`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

from orchestrator.cli.quantities import mebibytes, minutes, share, span, text, whole
from orchestrator.cli.timecodes import group
from orchestrator.cli.words import SEPARATOR, Takes, canonical_words
from orchestrator.errors import UsageError
from orchestrator.spec.limits import LARGEST_SEED


class Option(NamedTuple):
    """One option.

    Attributes:
        name: With underscores, without `--`.
        help: One line; `%` is written twice.
        metavar: What the help shows for the value.
        read: Turns a word into the value.
        takes: How many words follow.
        target: Where the value goes, if not under `name`; a flag with a target switches it off.
    """

    name: str
    help: str
    metavar: str = ""
    read: Callable[[str], Any] = text
    takes: Takes = Takes.ONE
    target: str = ""


def _flag(name: str, help_text: str, target: str = "") -> Option:
    return Option(name, help_text, takes=Takes.NOTHING, target=target)


def _several(name: str, help_text: str, metavar: str) -> Option:
    return Option(name, help_text, metavar, takes=Takes.SEVERAL)


GROUPS: dict[str, tuple[Option, ...]] = {
    "what to run": (
        Option("experiment_name", "name of the search; its runs lie in RUN_DIR/NAME/N", "NAME"),
        _several(
            "run_program",
            "the program of one trial, run by bash; %%(x), $x or {x} stand for the value of "
            "parameter x; plain or base64. It prints RESULT: VALUE",
            "TEXT",
        ),
        _several(
            "result_names",
            "the values that the program prints, as NAME or NAME=min or NAME=max (default: "
            "RESULT=min)",
            "NAME[=min|max]",
        ),
        _several(
            "snapshot",
            "files and folders that are copied at the start: all trials use the copies, whatever "
            "becomes of the originals",
            "PATH",
        ),
        Option("snapshot_max_gb", "most that --snapshot copies (default: 1)", "GIB", mebibytes),
    ),
    "what to search": (
        _several(
            "parameter",
            "x range LOW HIGH [int|float] [LOG true], or x choice A,B,C, or x fixed VALUE; once "
            "for each parameter (default type of a range: float)",
            "NAME KIND VALUES",
        ),
        _several(
            "experiment_constraints",
            "comparisons that every point meets, such as '2*a + b <= 10'; plain or base64, "
            "several separated by ;",
            "TEXT",
        ),
        Option("max_eval", "number of trials, failed ones too", "N", whole(1)),
        Option(
            "num_random_steps",
            "trials by SOBOL before the model takes over (default: 2 a parameter, at least 5, at "
            "most half of max_eval)",
            "N",
            whole(0),
        ),
        Option(
            "model",
            "SOBOL, HALTON, UNIFORM, TPE, BOTORCH_MODULAR or auto: BoTorch where it is "
            "installed, else TPE (default: auto)",
            "MODEL",
        ),
        Option("generation_strategy", "instead of the two above: SOBOL=10,TPE=20,…", "STEPS"),
        Option(
            "seed",
            "makes the search repeatable (default: drawn, and kept in spec.json)",
            "N",
            whole(0, LARGEST_SEED),
        ),
    ),
    "how much at once, and for how long": (
        Option(
            "num_parallel_jobs",
            "trials that run at once at most (default: 20 on Slurm, else the CPUs of this machine)",
            "N",
            whole(1, 100_000),
        ),
        Option(
            "time",
            "limit for the whole search: minutes, HH:MM or D-HH:MM (default: none)",
            "TIME",
            span,
        ),
        Option(
            "worker_timeout",
            "limit for one trial in minutes, may be a fraction; Slurm's own limit is set a little "
            "later (default: none but the partition's)",
            "MINUTES",
            minutes,
        ),
    ),
    "when trials fail": (
        Option(
            "retries",
            "further tries after the program itself has failed (default: 1)",
            "N",
            whole(0, 1000),
        ),
        Option(
            "max_failed_jobs",
            "stop when more trials than this have failed (default: never)",
            "N",
            whole(0),
        ),
        Option(
            "max_failure_rate",
            "stop when a greater share of the trials that ended have failed, such as 0.5 or 50%%, "
            "after ten at least (default: never)",
            "SHARE",
            share,
        ),
        Option(
            "orchestrator_file",
            "rules of your own: what a log must hold, and what is done then; `headway rules check` "
            "tries them",
            "FILE",
        ),
        Option(
            "preflight",
            "command that bash runs on the host before each trial; if it fails, the host is kept "
            "out and the trial goes elsewhere",
            "CMD",
        ),
        _flag("auto_exclude_defective_hosts", "keep defective hosts out (default: on)"),
        _flag(
            "no_auto_exclude",
            "leave that to --exclude and `headway hosts exclude`",
            "auto_exclude_defective_hosts",
        ),
    ),
    "what one trial gets from Slurm": (
        Option("partition", "partition, or several: a,b (default: the site's)", "NAME"),
        Option(
            "mem_gb", "memory in GiB, may be a fraction (default: the site's)", "GIB", mebibytes
        ),
        Option("cpus_per_task", "CPUs (default: 1)", "N", whole(1, 100_000)),
        Option("gpus", "GPUs a node (default: 0)", "N", whole(0, 10_000)),
        Option("nodes_per_job", "nodes (default: 1)", "N", whole(1, 100_000)),
        Option("account", "account that is charged", "NAME"),
        Option("qos", "quality of service", "NAME"),
        Option("reservation", "reservation", "NAME"),
        Option("constraint", "node features, as sbatch takes them", "FEATURES"),
        Option("gres", "generic resources, as sbatch takes them", "GRES"),
        Option("exclude", "hosts to keep out, separated by commas", "HOSTS"),
        _flag(
            "requeue",
            "let Slurm itself start a job again that had to make room or whose node failed "
            "(default: Headway submits a new one)",
        ),
        _flag("force_local_execution", "run the trials on this machine, even where Slurm is"),
    ),
    "where it is kept": (
        Option("run_dir", "folder of all runs (default: runs)", "FOLDER"),
        Option(
            "db_url",
            "database instead of an SQLite file in the run folder, such as "
            "postgresql://user@host/name; @FILE reads it from a file (default: HEADWAY_DB_URL)",
            "URL",
        ),
        Option("description", "free text, kept with the experiment", "TEXT"),
        Option("participant", "whom or what is studied", "TEXT"),
        Option(
            "group",
            "name for experiments that belong together; time codes such as %%Y_%%U_%%a stand for "
            "the local time of the start",
            "TEXT",
            group,
        ),
        _several("metadata", "your own keys, each with a text", "KEY=VALUE"),
    ),
    "what is shown": (
        _flag("dryrun", "print the plan and the job script; start nothing"),
        _flag("follow", "show the live view (default: on a terminal)"),
        _flag("show_generate_time_table", "print at the end how long the points took to make"),
        _several(
            "timing",
            "for experts: internal times and rates such as heartbeat_seconds=15",
            "NAME=SECONDS",
        ),
        _flag("live_share", "accepted for OmniOpt2's sake; nothing is uploaded"),
        _flag("send_anonymized_usage_stats", "accepted for OmniOpt2's sake; nothing is sent"),
        _flag("generate_all_jobs_at_once", "accepted for OmniOpt2's sake; always so"),
    ),
}
# Options that users may know from the design or from OmniOpt2, and what does for now.
LATER = {
    "config_json": "Give the options on the command line.",
    "config_toml": "Give the options on the command line.",
    "config_yaml": "Give the options on the command line.",
    "continue": "headway resume goes on with an experiment.",
    "detach": "Start Headway in tmux or screen; it survives a lost connection there.",
    "external_generator": "",
    "head": "Wrap the command in a job script of your own.",
    "on_duplicate": "",
    "pool": "",
    "profile": "",
    "run_program_once": "Run it before headway run.",
    "sbatch": "",
    "setup": "Put the lines at the start of --run_program.",
    "slots": "",
}
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
"""


class RunParser(argparse.ArgumentParser):
    """argparse, but an error is a UsageError of one line that begins with the option."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found wrong."""
        raise UsageError(message.removeprefix("argument "))


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Colours on a terminal only: rich takes longer to import than all else here."""
    if sys.stdout.isatty():
        from rich_argparse import RawDescriptionRichHelpFormatter

        return RawDescriptionRichHelpFormatter(prog, max_help_position=30, width=100)
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=30, width=100)


def make_parser() -> RunParser:
    """Make the parser of `headway run`; `parse_run` is what reads a command line."""
    parser = RunParser(
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
        target, value = option.target or option.name, not option.target
        titled.add_argument(
            name, dest=target, action="store_const", const=value, default=None, help=option.help
        )
    elif option.takes is Takes.SEVERAL:
        titled.add_argument(
            name,
            metavar=option.metavar,
            action="append",
            type=_split,
            default=[],
            help=option.help,
        )
    else:
        titled.add_argument(name, metavar=option.metavar, type=option.read, help=option.help)


def _split(joined: str) -> list[str]:
    return joined.split(SEPARATOR)


def parse_run(words: Sequence[str]) -> argparse.Namespace:
    """Read the words after `headway run`.

    Options that were not given are None, those that take several words are lists of lists of words.
    Times are seconds, memory is MiB.

    Raises:
        UsageError: It names the option, what was given, and what is allowed.
        SystemExit: After `--help`.
    """
    known = {option.name: option.takes for options in GROUPS.values() for option in options}
    return make_parser().parse_args(canonical_words(words, known, LATER))
