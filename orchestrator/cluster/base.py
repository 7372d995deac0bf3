"""The interface of a cluster: five verbs, and the plain values that cross it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from db.states import JobState
from orchestrator.spec.resources import Resources


class AnswerKind(StrEnum):
    """The three ends of a submission."""

    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    UNCLEAR = "UNCLEAR"


@dataclass(frozen=True, kw_only=True)
class Order:
    """One submission as a cluster sees it.

    Attributes:
        token: Identifies the submission; part of the job's name.
        name: The job's name, `hw-NAME-TOKEN`.
        size: Number of tasks; more than one is submitted as one array.
        resources: What each task asks for.
        run_dir: The run folder, absolute.
        log_pattern: Path of each task's log relative to the run folder, `{index}` stands for the
            array index.
    """

    token: str
    name: str
    size: int
    resources: Resources
    run_dir: Path
    log_pattern: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a submission.

    Attributes:
        kind: Accepted, refused, or unclear.
        job_ids: One id a task, in the order of the array indices; empty unless accepted.
        message: What the scheduler said, if it did not accept.
        permanent: A refusal that can never turn into an acceptance.
    """

    kind: AnswerKind
    job_ids: tuple[str, ...] = ()
    message: str = ""
    permanent: bool = False


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """What is known of one task.

    Attributes:
        state: In our words.
        word: The scheduler's own word, e.g. CANCELLED by 0.
        host: Node name, when the job has one.
        reason: Why it waits, in the scheduler's word.
        exit_code: Exit code of the job script, when it ended.
    """

    state: JobState
    word: str = ""
    host: str | None = None
    reason: str = ""
    exit_code: int | None = None


class Cluster(Protocol):
    """Runs attempts.

    `submit` and `statuses` may take seconds and are called from threads; a cluster may be called
    from several threads at once. Nothing here writes to the database.
    """

    name: str

    def submit(self, order: Order) -> Answer:
        """Hand a submission to the scheduler; never raises for what the scheduler says.

        When the process dies inside this call, a job may exist that nobody knows the id of; its
        name carries the token.
        """
        ...

    def statuses(self, jobs: Mapping[str, str]) -> dict[str, JobStatus]:
        """Tell what is known of all `jobs` (job id to job name) with one call for all.

        A job that no command knows is GONE if every command answered, else UNKNOWN.
        """
        ...

    def find(self, names: Iterable[str]) -> dict[str, dict[int, str]] | None:
        """Look for jobs by name: job name to the id of each task that is known, by array index.

        None if the scheduler did not answer; an empty inner dictionary says that it denies. A name
        that is missing is not known: not every command answered.
        """
        ...

    def cancel(self, job_ids: Iterable[str], *, pending_only: bool = False) -> None:
        """End jobs with one call for all; ids that no longer exist are no error.

        Args:
            job_ids: The tasks.
            pending_only: Leave those alone that run.
        """
        ...

    def pause_seconds(self) -> float:
        """How long a polite caller waits before the next call; 0 while calls are plenty."""
        ...

    def script(self, order: Order) -> str:
        """Return the text that `submit` would hand to the scheduler."""
        ...
