"""Where the benchmarks run: a private Slurm, a private PostgreSQL, a folder, and Headway there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.figures import BenchmarkError
from benchmarks.running import Measured, run
from db.sql.engine import open_existing
from tests.cluster.postgres import PrivatePostgres
from tests.cluster.slurm import PrivateSlurm, SlurmSettings

HOME = Path(__file__).parent.parent
QUEUE_PATIENCE_SECONDS = 60.0
COMPLETED = 3
# The politeness towards the scheduler is switched off: it would hold calls back on purpose.
UNTHROTTLED = ("--timing", "calls_per_minute=6000", "calls_burst=6000")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One finished trial as the database has it; times are seconds since 1970.

    Attributes:
        index: Its number.
        job_id: The scheduler's id of its only attempt.
        token: Of its submission.
        planned_at: When the head prepared the submission.
        claimed_at: When its worker took it.
        started_at: When its program started.
        ended_at: When its program ended.
        reported_at: When the database took the report of its end.
    """

    index: int
    job_id: str
    token: str
    planned_at: float
    claimed_at: float
    started_at: float
    ended_at: float
    reported_at: float


@dataclass(frozen=True, kw_only=True)
class Run:
    """One finished `headway run`."""

    measured: Measured
    trials: list[Trial]


@dataclass
class Place:
    """The services and the folder.

    Attributes:
        folder: For runs and scratch files.
        slurm: The cluster.
        postgres_url: A database whose schema is set up.
        extra: More environment for commands.
        peers: How many peers have run; numbers their folders.
    """

    folder: Path
    slurm: PrivateSlurm
    postgres_url: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    peers: int = 0
    _number: int = 0

    def environment(self) -> dict[str, str]:
        """Return the environment of a command: this one's, and the cluster."""
        own = {key: value for key, value in os.environ.items() if key != "HEADWAY_DB_URL"}
        return own | self.extra | self.slurm.environment()

    def headway(
        self, *words: str, program: str, trials: int, slots: int, database: str = ""
    ) -> Run:
        """Run a search of `trials` trials in `slots` slots and check that it did what it should.

        Args:
            *words: More options.
            program: The program.
            trials: How many.
            slots: How many at once.
            database: URL; an empty text stands for the SQLite file in the run folder.

        Raises:
            BenchmarkError: A trial has not exactly one attempt, or is not COMPLETED.
        """
        self._number += 1
        name = f"bench{os.getpid()}x{self._number}"
        command = [
            *headway_command(),
            *("run", "--experiment_name", name, "--run_dir", str(self.folder / "runs")),
            *("--parameter", "x", "range", "0", "1", "--model", "SOBOL", "--seed", "1"),
            *("--max_eval", str(trials), "--num_parallel_jobs", str(slots)),
            *("--run_program", program),
            *words,
        ]
        given = {"HEADWAY_DB_URL": database} if database else {}
        measured = run(command, environment=self.environment() | given, folder=self.folder)
        url = database or f"sqlite:///{self.folder}/runs/{name}/1/database.db"
        done = read_trials(url, name)
        if [trial.index for trial in done] != list(range(trials)):
            text = f"{len(done)} of {trials} trials are COMPLETED with one attempt each"
            raise BenchmarkError(f"{text}:\n{measured.output}")
        return Run(measured=measured, trials=done)

    def rest(self) -> None:
        """Wait until the cluster has nothing to do any more.

        Raises:
            BenchmarkError: It is not empty after a minute.
        """
        deadline = time.monotonic() + QUEUE_PATIENCE_SECONDS
        while self.slurm.run("squeue", "--noheader").stdout.strip():
            if time.monotonic() > deadline:
                raise BenchmarkError("the queue does not get empty")
            time.sleep(0.2)
        time.sleep(0.5)


@contextlib.contextmanager
def open_place() -> Iterator[Place]:
    """Start the services; they and the folder are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="headway-bench-", dir="/tmp"))
    try:
        with PrivateSlurm(SlurmSettings(nodes=8, cpus=4)) as slurm, PrivatePostgres() as server:
            place = Place(folder, slurm)
            url = server.create("bench")
            # The first run sets the schema up, and brings all files into memory.
            place.headway(program="echo RESULT: $x", trials=1, slots=1, database=url)
            place.postgres_url = url
            yield place
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def headway_command() -> list[str]:
    """Return what a user types, of the environment that the benchmarks run in."""
    script = Path(sys.executable).with_name("headway")
    return [str(script)] if script.exists() else [sys.executable, "-I", str(HOME / "headway.py")]


_QUESTION = """
SELECT trial."index", attempt.slurm_job_id, submission.token, submission.created_at,
       attempt.measured, attempt.started_at, ended.created_at
FROM trial
JOIN experiment ON experiment.id = trial.experiment_id
JOIN attempt ON attempt.trial_id = trial.id
JOIN submission ON submission.id = attempt.submission_id
JOIN report AS ended ON ended.attempt_id = attempt.id AND ended.kind = 'END'
WHERE experiment.name = :name AND trial.status = :status
ORDER BY trial."index"
"""


def read_trials(url: str, name: str) -> list[Trial]:
    """Return the completed trials of an experiment, one entry for each of their attempts."""
    engine = open_existing(url)
    with engine.connect() as connection:
        values = {"name": name, "status": COMPLETED}
        rows: Sequence[Any] = connection.execute(sa.text(_QUESTION), values).all()
    engine.dispose()
    return [_trial(row) for row in rows]


def _trial(row: Any) -> Trial:
    index, job_id, token, planned, measured, claimed, ended = row
    times = _json(measured)
    return Trial(
        index=index,
        job_id=job_id,
        token=token,
        planned_at=seconds(planned),
        claimed_at=seconds(claimed),
        started_at=seconds(times["program_started_at"]),
        ended_at=seconds(times["program_ended_at"]),
        reported_at=seconds(ended),
    )


def _json(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
    return found


def seconds(moment: str | datetime) -> float:
    """Return a time of the database, text or not, in seconds since 1970; it is UTC."""
    read = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
