"""The options of `headway run`, as one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from orchestrator.cli.quantities import line, mebibytes, minutes, one_of, share, span, text, whole
from orchestrator.cli.timecodes import group
from orchestrator.cli.words import Form, Takes
from orchestrator.spec.limits import LARGEST_SEED

# More than any scheduler takes; such a number is a slip.
MOST_PARALLEL = 100_000


class Option(NamedTuple):
    """One option.

    Attributes:
        name: With underscores, without `--`.
        help: One line; `%` is written twice.
        metavar: What the help shows for the value.
        read: Turns a word into the value.
        takes: How many words follow.
        target: Where the value goes, if not under `name`; a flag with a target switches it off.
        form: What several words are.
    """

    name: str
    help: str
    metavar: str = ""
    read: Callable[[str], Any] = text
    takes: Takes = Takes.ONE
    target: str = ""
    form: Form = Form.WORDS

    @property
    def goes_to(self) -> str:
        """The name under which its value is found."""
        return self.target or self.name


def _flag(name: str, help_text: str, target: str = "") -> Option:
    return Option(name, help_text, takes=Takes.NOTHING, target=target)


def _listed(name: str, help_text: str, metavar: str) -> Option:
    return Option(name, help_text, metavar, line, form=Form.LIST)


def _several(name: str, help_text: str, metavar: str, form: Form = Form.WORDS) -> Option:
    return Option(name, help_text, metavar, takes=Takes.SEVERAL, form=form)


GROUPS: dict[str, tuple[Option, ...]] = {
    "what to run": (
        Option("experiment_name", "name of the search; its runs lie in RUN_DIR/NAME/N", "NAME"),
        _several(
            "run_program",
            "the program of one trial, run by bash; %%(x), $x or {x} stand for the value of "
            "parameter x; plain or base64. It prints RESULT: VALUE",
            "TEXT",
            Form.TEXT,
        ),
        _several(
            "result_names",
            "the values that the program prints, as NAME or NAME=min or NAME=max (default: "
            "RESULT=min)",
            "NAME[=min|max]",
            Form.PAIRS,
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
            Form.PARAMETER,
        ),
        _several(
            "experiment_constraints",
            "comparisons that every point meets, such as '2*a + b <= 10'; plain or base64, "
            "several separated by ;",
            "TEXT",
            Form.TEXTS,
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
        _listed("generation_strategy", "instead of the two above: SOBOL=10,TPE=20,…", "STEPS"),
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
            whole(1, MOST_PARALLEL),
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
        _listed("partition", "partition, or several: a,b (default: the site's)", "NAME"),
        Option(
            "mem_gb", "memory in GiB, may be a fraction (default: the site's)", "GIB", mebibytes
        ),
        Option("cpus_per_task", "CPUs (default: 1)", "N", whole(1, 100_000)),
        Option("gpus", "GPUs a node (default: 0)", "N", whole(0, 10_000)),
        Option("nodes_per_job", "nodes (default: 1)", "N", whole(1, 100_000)),
        Option("account", "account that is charged", "NAME", line),
        Option("qos", "quality of service", "NAME", line),
        Option("reservation", "reservation", "NAME", line),
        Option("constraint", "node features, as sbatch takes them", "FEATURES", line),
        _listed("gres", "generic resources, as sbatch takes them", "GRES"),
        _listed("exclude", "hosts to keep out, separated by commas", "HOSTS"),
        _flag(
            "requeue",
            "let Slurm itself start a job again that had to make room or whose node failed "
            "(default: Headway submits a new one)",
        ),
        _flag("force_local_execution", "run the trials on this machine, even where Slurm is"),
    ),
    "how this site wants it": (
        Option(
            "profile",
            "what this cluster asks of every job, from slurm_templates/profiles/NAME.yaml or "
            "~/.config/headway/profiles/NAME.yaml; `headway profile check NAME` tries it",
            "NAME",
        ),
        _several(
            "setup",
            "line of bash that prepares each trial, such as 'module load Python'; once for each line",
            "CMD",
            Form.LINES,
        ),
        _several(
            "sbatch",
            "further options of sbatch as it has them, such as licenses=abc:1 or exclusive=",
            "KEY=VALUE",
            Form.PAIRS,
        ),
        Option(
            "head",
            "where the head runs: here, or slurm for a job of its own that continues itself "
            "(default: here)",
            "WHERE",
            one_of("here", "slurm"),
        ),
        _flag("detach", "head in the background; `headway follow` shows it"),
    ),
    "options from elsewhere": (
        Option("config_yaml", "file with options: names as keys", "FILE"),
        Option("config_toml", "the same in TOML", "FILE"),
        Option("config_json", "the same in JSON", "FILE"),
        _flag("dump_config", "print all options that hold as YAML, for --config_yaml, and end"),
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
        _several("metadata", "your own keys, each with a text", "KEY=VALUE", Form.PAIRS),
    ),
    "what is shown": (
        _flag(
            "dryrun",
            "print the plan, the first points, the job script, and what it costs at most; start "
            "nothing",
        ),
        _flag("json", "with --dryrun: JSON"),
        _flag("follow", "show the live view (default: on a terminal)"),
        _flag("show_generate_time_table", "print at the end how long the points took to make"),
        _several(
            "timing",
            "for experts: internal times and rates such as heartbeat_seconds=15",
            "NAME=SECONDS",
            Form.PAIRS,
        ),
        _flag("live_share", "accepted for OmniOpt2's sake; nothing is uploaded"),
        _flag("send_anonymized_usage_stats", "accepted for OmniOpt2's sake; nothing is sent"),
        _flag("generate_all_jobs_at_once", "accepted for OmniOpt2's sake; always so"),
    ),
}
# Options that users may know from the design or from OmniOpt2, and what does for now.
LATER = {
    "continue": "headway resume goes on with an experiment.",
    "external_generator": "",
    "on_duplicate": "",
    "pool": "",
    "run_program_once": "Run it before headway run.",
    "slots": "",
}


def all_options() -> dict[str, Option]:
    """Return the options by their names."""
    return {option.name: option for options in GROUPS.values() for option in options}
