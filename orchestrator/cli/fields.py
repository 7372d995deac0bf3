"""The fields of `--json`: their kind and what they mean.

They are stable: a later Headway may add some, but takes none away and gives none another meaning.
docs/commands.md is made from these tables (`answer_fields` says which is whose), and a test holds
them and what the commands print together.

In a name, `a[].b` is a field of each object in the list `a`, and `a.b` one of the object `a`. An
"object by …" has keys that users or Slurm have named. Anything may be null that is not known.
"""

from __future__ import annotations

Fields = dict[str, str]


def within(parent: str, fields: Fields) -> Fields:
    """Return fields of an object within another one: `parent` with its dot stands before each."""
    return {f"{parent}{name}": meaning for name, meaning in fields.items()}


_NAMED: Fields = {
    "name": "text: name of the search",
    "run": "number: which run of that name",
    "status": "text: RUNNING, STOPPING, FINISHED, STOPPED, FAILED or INTERRUPTED",
}
COUNTS: Fields = {
    "completed": "number: trials that gave a result",
    "early_stopped": "number: trials that were ended early, as their metrics promised nothing",
    "failed": "number: trials that failed for good",
    "running": "number: trials whose program runs",
    "waiting": "number: trials that are to run: new, to be tried again, or queued",
    "abandoned": "number: trials that were given up without a failure of their own",
}
ORIGIN: Fields = {
    "group": "text: --group",
    "description": "text: --description",
}
PERSONS: Fields = {
    "participant": "text: --participant",
    "metadata": "object by key: --metadata",
}
FRAME: Fields = {
    "created_at": "time: when it was set up",
    "ended_at": "time: when its last head ended it",
}
RUN_DIR: Fields = {"run_dir": "text: its run folder"}
LIST: Fields = {
    **_NAMED,
    "status": _NAMED["status"] + "; UNKNOWN: its database cannot be read",
    **COUNTS,
    "total": "number: all trials",
    "best": "object by objective: the results of the best trial by the first objective",
    "best_trial": "number: that trial",
    **FRAME,
    "stop_reason": "text: why it has stopped, if it has",
    "owner": "text: who started it, user@host",
    **ORIGIN,
    **RUN_DIR,
    "problem": "text: why its database cannot be read",
}
SLURM: Fields = {
    "calls": "object by command: how often this head has called it",
    "calls_last_hour": "number: all of them in the last hour",
    "calls_left": "number: how many it may make at once before it slows itself down",
    "poll_seconds": "number: pause between two looks at the queue",
    "scheduler_seconds": "number: how long Slurm took for its last answer",
    "waiting[]": "list: jobs that wait in Slurm, by reason, most frequent first",
    "waiting[].reason": "text: as Slurm says it; empty: it has not said one yet",
    "waiting[].count": "number: jobs",
    "waiting[].job": "text: one of them",
    "waiting[].says": "text: what the reason means",
    "waiting[].remedy": "text: what one can do; empty: wait",
    "waiting[].fate": "text: NEVER (as they are they cannot start), HELD or WAITS",
    "refused": "text: what Slurm says if it takes no submissions at present",
    "refused_for_seconds": "number: since when",
}
_GENERATOR: Fields = {
    "name": "text: the generator that the strategy is at",
    "is_busy": "flag: whether it is at work on points",
    "busy_seconds": "number: for how long",
    "stock": "number: points that are ready for slots to come",
    "problem": "text: why it gives no points at present",
}
_HEAD: Fields = {
    "told_at": "time: when the head said all this; it does every 5 s",
    "started_at": "time: when it began",
    "stopping": "text: why there are no new trials any more",
    "database_ms": "number: milliseconds of its last write transactions, their median",
    "disk_full": "flag: whether there is no room in the run folder, so that nothing is submitted",
    "cpu_percent": "number: share of one core that it takes",
    "memory_mb": "number: MiB of memory that it takes",
    "threads": "number: its threads",
}
OUT: Fields = {
    "host": "text: its Slurm node name",
    "state": "text: EXCLUDED, SUSPECT or PAROLE",
    "since_at": "time: since when",
    "until_at": "time: until when; null: no end",
    "by": "text: who decided it",
    "reason": "text: why",
    "evidence": "object by kind: what that rests on",
    "says": "text: all that in one sentence",
}
_CODE: Fields = {
    "path": "text: the file",
    "versions": "number: how many contents it had; 1: it never changed",
    "sha256": "text: of the newest; null: it is gone or could not be read",
    "bytes": "number: its size",
    "trial": "number: the trial that met it first; null: it was so when a head started",
    "since_at": "time: when that was noticed",
}
STATUS: Fields = {
    **_NAMED,
    "stop_reason": LIST["stop_reason"],
    "done": "number: trials that have ended and count towards max_eval",
    "max_eval": "number: how many are wanted",
    **COUNTS,
    "slots": "number: how many trials may run at once",
    "slots_busy": "number: how many do",
    "attempts_queued": "number: jobs that Slurm has and that do not run yet",
    "eta_seconds": "number: until all wanted trials have ended, by what the last ones took",
    "best": "object by objective: its best value",
    "best_trials": "object by objective: the trial that has it",
    "front_size": "number: trials that no other one beats; null with one objective",
    "generator": "text: the generator that was asked last",
    "generation": "number: which call of a generator that was",
    "fit_seconds": "number: how long it took to fit its model",
    "gen_seconds": "number: how long it took to make the points",
    "fallback_reason": "text: why its points are SOBOL's instead of its own",
    "failures": "object by class: attempts that failed; null: not to be known from this host",
    "hosts_out[]": "list: hosts that new jobs avoid",
    **within("hosts_out[].", OUT),
    "head": "text: ALIVE, DEAD (the search should go on, and no head is there), ENDED or NEVER",
    "head_host": "text: where it runs or ran",
    "head_pid": "number: its process",
    "head_sign_seconds": "number: since its last sign of life",
    "slurm": "object: what this head makes of Slurm; null: it has not said",
    **within("slurm.", SLURM),
    "generator_state": "object: how the generation of points stands; null: it has not said",
    **within("generator_state.", _GENERATOR),
    "head_state": "object: how the head itself is; null: it has not said",
    **within("head_state.", _HEAD),
    **FRAME,
    "owner": LIST["owner"],
    **ORIGIN,
    **PERSONS,
    **RUN_DIR,
    "code[]": "list: the files that the program names; null: not to be known from this host",
    **within("code[].", _CODE),
}
POINT: Fields = {
    "trial": "number: index of the trial",
    "results": "object by objective: accepted values",
    "parameters": "object by parameter: its point",
}
TRIAL: Fields = {
    "trial": POINT["trial"],
    "status": "text: CANDIDATE, STAGED, RUNNING, COMPLETED, FAILED, ABANDONED, EARLY_STOPPED, STALE",
    "generator": "text: what proposed its point",
    "host": "text: host of the attempt that says most: the one that succeeded, else the last",
    "job": "text: its Slurm job",
    "attempts": "number: how many attempts there are",
    "parameters": POINT["parameters"],
    "results": POINT["results"],
    "sems": "object by objective: standard errors that the program gave",
    "infos": "object by name: OO-Info lines of that attempt",
    "created_at": "time: when its point was made",
    "started_at": "time: when that attempt started",
    "ended_at": "time: when the trial was over",
    "run_seconds": "number: how long the program of that attempt ran",
    "exit_code": "number: its exit code",
    "signal": "number: the signal that ended it",
    "failure": "text: the class of its failure (docs/failures.md)",
    "reason": "text: why the trial has no outcome",
}
_ATTEMPT: Fields = {
    "id": "number: its key in the database",
    "number": "number: which attempt of the trial, from 1",
    "state": "text: PLANNED, SUBMITTED, STARTED, SUCCEEDED, FAILED, LOST, CANCELLED, SUPERSEDED",
    "slurm_job_id": "text: as squeue prints it",
    "cluster": "text: cluster, where there are several",
    "host": "text: where it ran",
    "requested": "object by resource: what it asked Slurm for",
    "measured": "object by measurement: what its worker measured",
    "infos": "object by name: its OO-Info lines",
    "exit_code": "number: of the program",
    "signal": "number: that ended the program",
    "slurm_state": "text: Slurm's word for the end of its job",
    "failure_class": "text: class of its failure",
    "failure_name": "text: the rule or pattern that gave the class",
    "failure_message": "text: the failure in words",
    "failure_action": "text: what was done about it",
    "failure_evidence": "object by kind: what the class rests on",
    "log_path": "text: its log, from the run folder",
    "created_at": "time: when it was planned",
    "submitted_at": "time: when sbatch took it",
    "started_at": "time: when its worker claimed it",
    "ended_at": "time: when it was over",
    "heartbeat_at": "time: last sign of life",
}
SHOW: Fields = {
    **TRIAL,
    "all_attempts[]": "list: all its attempts, the first one first",
    **within("all_attempts[].", _ATTEMPT),
    "outcomes[]": "list: its accepted values",
    "outcomes[].objective": "text: name of the objective",
    "outcomes[].mean": "number: the value",
    "outcomes[].sem": "number: its standard error",
    "outcomes[].source": "text: ATTEMPT, IMPORT or REUSED",
    "outcomes[].attempt": "number: the attempt that gave it",
    "outcomes[].reused_trial": "number: the trial that it was taken from",
    "metrics[]": "list: measurements along the way, one entry a name and split",
    "metrics[].attempt": "number: attempt",
    "metrics[].name": "text: name",
    "metrics[].split": "text: TRAIN, VALIDATION or TEST",
    "metrics[].count": "number: how many there are",
    "metrics[].value": "number: the last one",
    "metrics[].step": "number: its step",
    "metrics[].created_at": "time: when it came",
    "artifacts[]": "list: files that the program named",
    "artifacts[].attempt": "number: attempt",
    "artifacts[].name": "text: name",
    "artifacts[].url": "text: where it is",
    "artifacts[].bytes": "number: its size",
    "artifacts[].sha256": "text: its contents",
    "code[]": "list: files of the program that were not as the head had seen them",
    "code[].attempt": "number: attempt that met it",
    "code[].path": "text: the file",
    "code[].sha256": "text: what it was then",
    "code[].bytes": "number: its size",
}
_FAILURE: Fields = {
    "experiment": "text: NAME/N",
    "trial": "number: trial",
    "attempt": "number: attempt",
    "failure_class": "text: class",
    "name": "text: rule or pattern that gave the class",
    "message": "text: in words",
    "ended_at": "time: when",
}
_EXCLUSION: Fields = {
    "id": "number: its key in the database",
    "source": "text: HEADWAY or USER: who decided",
    "decided_by": "text: the person",
    "reason": "text: why",
    "evidence": "object by kind: what that rests on",
    "experiment": "text: the search that found it",
    "created_at": "time: from when",
    "expires_at": "time: until when",
    "ended_at": "time: when it was ended",
    "end_reason": "text: why",
    "is_over": "flag: whether it keeps nobody out any more",
}
HOSTS: Fields = {
    "host": OUT["host"],
    "state": "text: EXCLUDED, SUSPECT, PAROLE or GOOD",
    "tried": "number: attempts that began there",
    "running": "number: of them, those that go on",
    "succeeded": "number: of them, those that gave a result",
    "failed": "object by class: of them, those that failed",
    "probability": "number: how likely it is defective, 0 to 1",
    "since_at": OUT["since_at"],
    "until_at": OUT["until_at"],
    "by": OUT["by"],
    "reason": OUT["reason"],
    "evidence": OUT["evidence"],
    "last_failure": "object: the newest failure there",
    **within("last_failure.", _FAILURE),
    "history[]": "list: its exclusions, the oldest first",
    **within("history[].", _EXCLUSION),
}
