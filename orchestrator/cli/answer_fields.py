"""What every command prints with `--json`: a list or one object, and its fields.

A command that prints different things has an entry for each, such as `why: with --ticket`.
"""

from __future__ import annotations

from typing import NamedTuple

from orchestrator.cli.fields import (
    COUNTS,
    FRAME,
    HOSTS,
    LIST,
    ORIGIN,
    OUT,
    PERSONS,
    POINT,
    RUN_DIR,
    SHOW,
    SLURM,
    STATUS,
    TRIAL,
    Fields,
    within,
)


class Answer(NamedTuple):
    """What a command prints.

    Attributes:
        fields: Kind and meaning of each field.
        is_list: Whether it is a list of such objects, or one.
        note: What else there is to say, a sentence.
    """

    fields: Fields
    is_list: bool = False
    note: str = ""


_COMPARED: Fields = {
    "experiment": "text: NAME/N, or as it was named",
    "uuid": "text: the same in every database",
    "status": "text: as in `list`",
    **COUNTS,
    "total": LIST["total"],
    "best": "object by objective: its best value",
    "best_trials": "object by objective: the trial that has it",
    "goals": "object by objective: min or max",
    "wall_seconds": "number: from the set-up to the end, or to now",
    "median_run_seconds": "number: how long the program of a trial ran",
    "attempts": "number: all attempts",
    "failures": "object by class: attempts that failed",
    "cpu_hours": "number: hours times CPUs of all attempts",
    "gpu_hours": "number: hours times GPUs of all attempts",
    "attempts_of_unknown_cost": "number: attempts that these hours lack",
    "hosts": "list: where its attempts ran",
    "generators": "object by generator: trials that it proposed",
    **ORIGIN,
    **PERSONS,
    **FRAME,
    **RUN_DIR,
}
_COMPARE: Fields = {
    "experiments[]": "list: one entry a search",
    **within("experiments[].", _COMPARED),
    "differences[]": "list: what their specs do not have in common",
    "differences[].entry": "text: where in the spec, such as space.parameters.x.upper",
    "differences[].values": "object by search: the entry there; null: there is none",
}
_INFO: Fields = {
    "system": "text: sqlite, postgresql or mariadb",
    "version": "text: version of that system",
    "url": "text: where it is, without a password",
    "schema": "text: version of its tables",
    "headway_schema": "text: the version that this Headway writes",
    "journal": "text: SQLite's journal mode",
    "filesystem": "text: what an SQLite file lies on",
    "bytes": "number: its size",
    "experiments": "list: NAME/N of all that it holds",
    "rows": "object by table: how many rows it has",
}
_FINDING: Fields = {
    "check": "text: which check it is (docs/checking.md)",
    "experiment": "text: NAME/N",
    "trial": "number: trial",
    "attempt": "number: attempt",
    "message": "text: what does not fit",
}
_CHECK: Fields = {
    "database": "text: what was checked",
    "experiments": "number: how many were looked at",
    "trials": "number: how many of their points",
    "breaches[]": "list: what must not be",
    **within("breaches[].", _FINDING),
    "warnings[]": "list: what is odd",
    **within("warnings[].", _FINDING),
}
_COPY: Fields = {
    "experiment": "text: NAME/N in the source",
    "copied_as": "text: NAME/N in the target",
    "uuid": "text: the same in both",
    "was": "text: new, brought up to date, or the same already",
    "trials": "number: trials that were added",
    "attempts": "number: attempts that were added",
    "rows_added": "number: rows of all tables that were added",
    "rows_changed": "number: rows that were changed",
    "added": "object by table: rows that were added",
    "changed": "object by table: rows that were changed",
}
_UPGRADE: Fields = {
    "before": "text: the schema that it had",
    "after": "text: the schema that it has now",
    "copy": "text: the SQLite file as it was before; null: nothing was changed, or no SQLite",
}
_REPLAY: Fields = {
    "experiment": "text: NAME/N",
    "equal": "flag: whether all points are those on record",
    "asks": "number: calls of generators that were repeated",
    "asks_equal": "number: of them, those that gave the same",
    "points": "number: points on record",
    "points_equal": "number: of them, those that came again",
    "failed_asks": "number: calls left out, since they failed when first asked",
    "incomplete_asks": "number: calls left out, since too little was written down",
    "difference": "object: the first point that differs",
    "difference.generation": "number: which call of a generator",
    "difference.generator": "text: its generator",
    "difference.trial": "number: the trial; null: not even the number of points is the same",
    "difference.parameter": "text: the first parameter that differs",
    "difference.recorded": "value: on record",
    "difference.again": "value: asked again",
    "unanswered": "object: the call that got no answer now",
    "unanswered.generation": "number: which call of a generator",
    "unanswered.generator": "text: its generator",
    "unanswered.why": "text: why",
    "versions": "object by library: versions on record and now, where they are not the same",
}
_RULES: Fields = {
    "rules[]": "list: the rules as they are understood",
    "rules[].name": "text: name",
    "rules[].match_strings": "list: texts of which one must be in the log",
    "rules[].match_regex": "list: expressions of which one must fit",
    "rules[].exit_codes": "list: exit codes of which one must be the program's",
    "rules[].behavior": "text: what is done then",
    "rules[].max_restarts": "number: how often",
    "found": "object: what a failure with the log and exit code that were given is; null: none was",
    "found.rule": "text: the rule that fits",
    "found.by": "text: by what",
    "found.does": "text: what is done then",
    "found.too_slow": "object by expression: rules whose expression takes too long",
    "found.pattern": "text: what Headway's own table knows the log as",
    "found.failure": "text: class by that table",
    "found.says": "text: what that means",
    "found.line": "text: the line that fits",
}
_GENERATORS: Fields = {
    "name": "text: for --model and --generation_strategy",
    "aliases": "list: other names of the same",
    "what": "text: what it is",
    "learns": "flag: whether it looks at results",
    "linear_constraints": "flag: whether linear constraints shape its points; all others are checked "
    "on each candidate",
    "several_objectives": "flag: whether it takes several objectives",
    "installed": "flag: whether all that it needs is installed",
    "packages": "list: what it needs beyond Headway's own dependencies",
    "install": "text: the command that installs it; null: it is installed",
    "default": "flag: whether it is what --model auto means here",
}
_DOCTOR: Fields = {
    "is_fit": "flag: whether nothing has FAILED",
    "findings[]": "list: what was looked at, in this order",
    "findings[].check": "text: what it is about; docs/doctor.md names them",
    "findings[].status": "text: ok, warning or FAILED",
    "findings[].says": "text: what was found",
    "findings[].remedy": "text: what can be done; empty: nothing has to be",
    "findings[].host": "text: the node that it is about; null: no single one",
}
_WAITING: Fields = {
    name.removeprefix("waiting[]."): said
    for name, said in SLURM.items()
    if name.startswith("waiting[].")
}
_QUEUE: Fields = {
    "state": "text: what Slurm says of its job that waits",
    "reason": "text: Slurm's reason for that",
    "says": "text: what the reason means",
    "remedy": "text: what one can do",
    "fate": "text: NEVER, HELD or WAITS",
    "host": "text: its host, if it has one",
}
_TRY: Fields = {
    "attempt": "number: which attempt, from 1",
    "state": "text: as in `show`",
    "host": "text: where it ran",
    "job": "text: its Slurm job",
    "exit_code": "number: of the program",
    "signal": "number: that ended the program",
    "failure": "text: class of its failure",
    "failure_name": "text: the rule or pattern that gave the class",
    "message": "text: the failure in words",
    "blame": "text: what that says about its host",
    "evidence": "object by kind: what the class rests on",
    "action": "text: what was done about it",
    "ended_at": "time: when it was over",
}
_WHY_TRIAL: Fields = {
    "trial": "number: the trial",
    "status": "text: as in `trials`",
    "says": "text: how it stands, a sentence",
    "attempts[]": "list: its attempts",
    **within("attempts[].", _TRY),
    "slurm": "object: what Slurm says now, if its job waits there",
    **within("slurm.", _QUEUE),
    "hosts[]": "list: of the hosts where it was, those that new jobs avoid",
    **within("hosts[].", OUT),
    "log": "text: its log",
    "log_tail": "list: the last lines of that",
    "advice": "list: what one can do, sentences",
}
_CAUSE: Fields = {
    "about": "text: what it is about, in a word",
    "says": "text: what keeps the search from its best",
    "remedy": "text: what one can do; empty: nothing is needed",
}
_WHY_SEARCH: Fields = {
    "experiment": "text: NAME/N",
    "status": "text: as in `status`",
    "head": "text: as in `status`",
    "says": "text: how it stands, a sentence",
    "findings[]": "list: what keeps it from its best, what weighs most first",
    **within("findings[].", _CAUSE),
    "waiting[]": "list: jobs that wait in Slurm, by reason; null: nobody could be asked",
    **within("waiting[].", _WAITING),
    "failures[]": "list: what failed, most frequent first; null: not to be known from this host",
    "failures[].failure": "text: class",
    "failures[].count": "number: attempts",
    "failures[].message": "text: the newest of them in words",
    "hosts[]": "list: hosts that new jobs avoid",
    **within("hosts[].", OUT),
    "advice": "list: what one can do, sentences",
}
_TICKET: Fields = {
    "written_at": "time: now",
    "about": "text: NAME/N, and the trial",
    "user": "text: user@host",
    "versions": "object by name: of Headway, Python, libraries and the system",
    "slurm": "object: what is known of Slurm; null: the search does without",
    "slurm.version": "text: its version",
    "slurm.cluster": "text: the cluster's name",
    "slurm.profile": "text: the profile of the search",
    "asked": "object by resource: what was asked of Slurm",
    "jobs": "list: its Slurm jobs",
    "hosts": "list: where it was",
    "run_dir": "text: the run folder",
    "script": "text: the script that sbatch got",
    "database": "text: which system keeps the data",
    "says": "text: how it stands, a sentence",
    "attempts[]": "list: its attempts",
    **{
        name: said
        for name, said in within("attempts[].", _TRY).items()
        if name != "attempts[].blame"
    },
    "attempts[].slurm_state": "text: Slurm's word for the end of its job",
    "attempts[].submitted_at": "time: when sbatch took it",
    "attempts[].started_at": "time: when its worker claimed it",
    "findings[]": "list: without a trial, what keeps the search from its best",
    **within("findings[].", _CAUSE),
    "slurm_says": "object: what Slurm says now, if the trial's job waits there",
    **within("slurm_says.", _QUEUE),
    "hosts_out": "list: hosts that new jobs avoid, a sentence each",
    "log": "text: the trial's log",
    "log_tail": "list: the last lines of that",
    "head_log_tail": "list: without a trial, the last lines of head.log",
    "advice": "list: what one can do, sentences",
}
_HOURS: Fields = {
    "cpu_hours": "number: hours times CPUs",
    "gpu_hours": "number: hours times GPUs",
}
_PLAN: Fields = {
    "experiment": "text: name of the search",
    "run_dir": "text: the run folder that it would get",
    "database": "text: its database, without a password; null: an SQLite file in the run folder",
    "cluster": "text: what its trials would run on",
    "max_eval": "number: trials",
    "num_parallel_jobs": "number: how many at once",
    "strategy": "text: which generator gives how many points",
    "seed": "number: the seed",
    "is_seed_drawn": "flag: whether it was drawn just now, so that a run would draw another one",
    "objectives": "object by objective: min or max",
    "program": "text: the program of a trial",
    "notes": "list: warnings, sentences",
    "points": "list: the first points; each an object by parameter",
    "points_by": "text: the generator that gives them",
    "first_command": "text: what the first trial would run",
    "submission": "object: the first call of sbatch",
    "submission.trials": "number: trials in it",
    "submission.script": "text: the script; null: trials run without Slurm",
    "head_script": "text: the script of the head's own job, with --head slurm",
    "cost": "object: what all this may cost at most",
    "cost.trials": "number: trials",
    "cost.cpus_per_trial": "number: CPUs of one",
    "cost.gpus_per_trial": "number: GPUs of one",
    "cost.minutes_per_try": "number: limit of one try",
    "cost.further_tries": "number: tries of a trial after the first, at most",
    **{
        f"cost.{name}{inner}": said
        for name, meaning in (
            ("each_once", "if every trial takes its limit once; null: there is no limit"),
            ("with_further_tries", "if every trial needs all its tries"),
            ("within_time", "what --time leaves room for"),
            ("at_most", "the smaller one of the two"),
        )
        for inner, said in (
            ("", f"object: {meaning}"),
            *((f".{field}", kind) for field, kind in _HOURS.items()),
        )
    },
    "cost.on_top": "text: what is not counted",
}
_PROFILES: Fields = {
    "profiles[]": "list: the profiles that there are",
    "profiles[].name": "text: name, for --profile",
    "profiles[].says": "text: its first comment",
    "profiles[].path": "text: its file",
}
_PROFILE: Fields = {
    "name": "text: its name",
    "path": "text: its file",
    "options": "object by option: options of `headway run` that it sets",
    "site": "object by key: what else it says of the site",
    "warnings": "list: what is right and may be a slip, sentences",
    "scripts": "object: what it makes of jobs",
    "scripts.trial": "text: script of a trial",
    "scripts.head": "text: script of a head that is a job",
    "slurm": "object by job: with --submit, `answer` and `message` of Slurm for each",
}
ANSWERS: dict[str, Answer] = {
    "list": Answer(LIST, is_list=True),
    "status": Answer(STATUS),
    "trials": Answer(TRIAL, is_list=True),
    "show": Answer(SHOW),
    "best": Answer(
        POINT, note="With `--pareto` a list of them, the best by the first objective first."
    ),
    "hosts": Answer(HOSTS, is_list=True),
    "compare": Answer(_COMPARE),
    "db info": Answer(_INFO),
    "db upgrade": Answer(_UPGRADE),
    "db check": Answer(_CHECK),
    "db copy": Answer(_COPY, is_list=True),
    "db replay": Answer(_REPLAY),
    "rules check": Answer(_RULES),
    "doctor": Answer(_DOCTOR),
    "why: without a trial": Answer(_WHY_SEARCH),
    "why: of a trial": Answer(_WHY_TRIAL),
    "why: with --ticket": Answer(_TICKET),
    "run: with --dryrun": Answer(_PLAN),
    "profile list": Answer(_PROFILES),
    "profile check": Answer(_PROFILE),
    "profile head-script": Answer({"path": "text: where head.sbatch lies"}),
    "generators": Answer(_GENERATORS, is_list=True),
}
