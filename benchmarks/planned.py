"""An experiment whose attempts are planned and whose head has gone: workers can be started."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Literal

from db.sql import attempts, generations, trials
from db.sql.attempts import NewAttempt
from db.sql.generations import NewGeneration
from orchestrator.app.runs import Run, set_up
from orchestrator.cli.requests import read_request
from orchestrator.cli.sources import read_sources
from orchestrator.steps.mailbox import Mailbox

# The first thing that the program does is to tell the time.
PROGRAM = "echo STAMP $EPOCHREALTIME; echo RESULT: $x"


def plan(
    folder: Path, count: int, *, transport: Literal["direct", "spool"], database: str
) -> tuple[Path, list[str]]:
    """Set an experiment up and plan submissions of one attempt each, as the head does.

    Returns:
        The run folder, and the tokens of the submissions.
    """
    name = f"starts{os.getpid()}{transport}{'server' if database else ''}"
    words = ["--experiment_name", name, "--parameter", "x", "fixed", "1", "--max_eval", str(count)]
    words += ["--model", "SOBOL", "--force_local_execution", "--run_program", PROGRAM]
    request = read_request(read_sources(words, {}, folder), folder, has_slurm=lambda: False)
    run = set_up(request.spec, db_url=database or None, run_root=folder)
    job = run.run_dir / "job.json"
    changed = json.loads(job.read_text(encoding="utf-8")) | {"transport": transport}
    job.write_text(json.dumps(changed), encoding="utf-8")
    keys = _insert_trials(run, count)
    return run.run_dir, [_plan_one(run, key, index) for index, key in enumerate(keys)]


def _insert_trials(run: Run, count: int) -> list[int]:
    new = NewGeneration(
        number=0,
        node=0,
        generator="SOBOL",
        requested=count,
        produced=count,
        fit_time=None,
        gen_time=None,
        seed=0,
        state=None,
        predictions=None,
        fallback_reason=None,
    )
    with run.engine.begin() as connection:
        generation = generations.insert(connection, run.stored.id, new)
        return trials.insert(
            connection,
            run.stored.id,
            first_index=0,
            points=[{"x": 1}] * count,
            generation_id=generation,
        )


def _plan_one(run: Run, trial_id: int, index: int) -> str:
    token = secrets.token_hex(8)
    attempt = NewAttempt(
        trial_id=trial_id, array_index=0, number=1, token=secrets.token_hex(12), log_path="log"
    )
    with run.engine.begin() as connection:
        _, keys = attempts.plan(
            connection, run.stored.id, token=token, resources={}, attempts=[attempt]
        )
    Mailbox(run.run_dir).offer(
        token,
        {
            0: {
                "attempt_id": keys[0],
                "attempt_token": attempt.token,
                "number": 1,
                "trial_index": index,
                "parameters": {"x": 1},
                "log_path": "log",
                "checkpoint_dir": str(run.run_dir / "checkpoints" / str(index)),
            }
        },
    )
    return token
