"""The interface of a cluster: five verbs, and the plain values that cross it."""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from db.states import JobState
from orchestrator.cluster.commands import CallBudget
from orchestrator.spec.resources import Resources


class AnswerKind(StrEnum):
    """The three ends of a submission."""

    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    UNCLEAR = "UNCLEAR"


class HostTrouble(StrEnum):
    """What a refusal says of the hosts that a job is to avoid or to run on."""

    UNKNOWN = "UNKNOWN"  # the scheduler does not know one of their names
    NONE_LEFT = "NONE_LEFT"  # no host is left that could ever run it


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
        only_on: The one host that it may run on: a canary; None: any that is not excluded.
    """

    token: str
    name: str
    size: int
    resources: Resources
    run_dir: Path
    log_pattern: str
    only_on: str | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of a submission.

    Attributes:
        kind: Accepted, refused, or unclear.
        job_ids: One id a task, in the order of the array indices; empty unless accepted.
        message: What the scheduler said, if it did not accept.
        permanent: A refusal that can never turn into an acceptance.
        no_room: A refusal by the disk of the run folder; the scheduler was not asked.
        host_trouble: What a refusal says of the hosts that the order names; such a one may pass
            when other hosts are named.
        is_full: A refusal as this user has as many jobs as the site allows; it passes when some
            have ended.
        is_array_too_large: A refusal of an array for its size alone.
    """

    kind: AnswerKind
    job_ids: tuple[str, ...] = ()
    message: str = ""
    permanent: bool = False
    no_room: bool = False
    host_trouble: HostTrouble | None = None
    is_full: bool = False
    is_array_too_large: bool = False


def refused_by_files(what: str, error: OSError) -> Answer:
    """Return the answer to a submission whose files could not be written: no job exists."""
    no_room = error.errno in {errno.ENOSPC, errno.EDQUOT}
    return Answer(kind=AnswerKind.REFUSED, message=f"{what}: {error}", no_room=no_room)


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """What is known of one task.

    Attributes:
        state: In our words.
        word: The scheduler's own word, e.g. CANCELLED by 0.
        host: Node name, when the job has one.
        reason: Why it waits, in the scheduler's word.
        exit_code: Exit code of the job script, when it ended.
        host_fault: Why its host takes no more jobs, e.g. `drained: Prolog error`; only looked for
            when a job was cancelled before its worker began.
        is_held: Its host could not start it, and it stays where it is, waiting for a person say: it
            has to be removed. Its state is NODE_FAIL then.
    """

    state: JobState
    word: str = ""
    host: str | None = None
    reason: str = ""
    exit_code: int | None = None
    host_fault: str = ""
    is_held: bool = False
    lost_host: str | None = None


@dataclass(frozen=True, kw_only=True)
class KnownJob:
    """What is known of a task that is asked about: ids are used again, so the id is not enough.

    Attributes:
        name: The job's name; empty: any name of the experiment.
        not_before: A row that was submitted more than an hour earlier is about another job.
        is_claimed: Whether its worker has begun.
        is_unwanted: Whether we have asked for its end ourselves.
    """

    name: str
    not_before: datetime | None = None
    is_claimed: bool = False
    is_unwanted: bool = False


@dataclass(frozen=True, kw_only=True)
class ClusterHost:
    """A host as the scheduler knows it now.

    Attributes:
        name: Its node name.
        memory_mb: Memory that jobs can get there; None: not known.
        cpus: The same for CPUs.
        is_usable: Whether it takes jobs: it is neither down nor drained nor reserved for others.
        is_free: Whether a job could begin there at once.
        state: The scheduler's own word.
    """

    name: str
    memory_mb: int | None = None
    cpus: int | None = None
    is_usable: bool = True
    is_free: bool = False
    state: str = ""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What there is at most.

    Attributes:
        known: The names of all hosts that the scheduler knows; a job that is to avoid any other
            name is refused.
        hosts: Those of the partitions that the trials go to, by name.
        minutes: Longest time limit of a job there; None: no limit.
        default_minutes: What a job gets there that asks for no time; None: no limit.
    """

    known: frozenset[str] = frozenset()
    hosts: Mapping[str, ClusterHost] = field(default_factory=dict)
    minutes: int | None = None
    default_minutes: int | None = None

    @property
    def memory_mb(self) -> int | None:
        """Memory of the largest host; None if nobody knows."""
        return max((host.memory_mb or 0 for host in self.hosts.values()), default=0) or None


@dataclass(frozen=True, kw_only=True)
class Quota:
    """How much of its jobs a scheduler takes from one user.

    Attributes:
        largest_array: Tasks of an array at most; 1: it takes no arrays. None: not known.
        most_jobs: Jobs that may wait and run at once, those of other searches and other work
            counted as well if the limit is also theirs; None: not known, or no limit.
    """

    largest_array: int | None = None
    most_jobs: int | None = None


@dataclass(frozen=True, kw_only=True)
class Amendment:
    """What became of jobs that were to be changed while they wait.

    Those that are named nowhere here are changed now.

    Attributes:
        left_alone: Tasks that are as they were, as they have begun, have ended or are gone.
        refused: Tasks that wait on as they were, as the scheduler will not change them.
        unclear: Tasks of which nobody knows, as it did not answer: ask again.
        has_unknown_host: It does not know one of the hosts any more; ask again with other names.
        message: What it said, if not all went well.
    """

    left_alone: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()
    unclear: frozenset[str] = frozenset()
    has_unknown_host: bool = False
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class LivingJob:
    """A task of ours that waits or runs, whether anybody asked about it or not."""

    job_id: str
    name: str
    is_pending: bool


@dataclass(frozen=True, kw_only=True)
class Survey:
    """One look at the scheduler.

    Attributes:
        statuses: What it says of each task that was asked about, by id. A task that no command
            knows is GONE if every command answered, else UNKNOWN.
        found: For each name that was asked about, the id of each task that is known, by array
            index; empty: the scheduler denies it. A name that is missing is not known, as not every
            command answered. None if the scheduler did not answer at all.
        living: All own tasks of the family that wait or run.
        others: How many other tasks of this user wait or run, of those that count towards the
            limit that `quota` told.
    """

    statuses: dict[str, JobStatus]
    found: dict[str, dict[int, str]] | None
    living: tuple[LivingJob, ...] = ()
    others: int = 0


class Cluster(Protocol):
    """Runs attempts.

    `submit`, `survey`, `cancel`, `amend`, `throttle`, `limits` and `quota` may take seconds and are
    called from threads, each from one at a time. Nothing here writes to the database.
    """

    name: str

    @property
    def budget(self) -> CallBudget | None:
        """How many calls of the scheduler's commands were made; None: it takes none."""
        ...

    def submit(self, order: Order) -> Answer:
        """Hand a submission to the scheduler; never raises for what the scheduler says.

        When the process dies inside this call, a job may exist that nobody knows the id of; its
        name carries the token.
        """
        ...

    def survey(
        self, jobs: Mapping[str, KnownJob], *, names: Collection[str] = (), family: str = ""
    ) -> Survey:
        """Look at all jobs with one call for all.

        Args:
            jobs: The tasks whose ids are known.
            names: Names of jobs whose ids are not known.
            family: What the names of all jobs of the experiment begin with.
        """
        ...

    def cancel(self, job_ids: Iterable[str], *, pending_only: bool = False) -> bool:
        """End jobs with one call for all; ids that no longer exist are no error.

        Args:
            job_ids: The tasks.
            pending_only: Leave those alone that run.

        Returns:
            Whether the scheduler took note. True does not say that they have ended: ask again until
            a survey says so. A task that was told before and lives on is ended with more force.
        """
        ...

    def amend(self, job_ids: Iterable[str], *, exclude: Collection[str]) -> Amendment:
        """Let jobs that still wait avoid these hosts, and no others that they avoided before.

        With one call for all. Jobs that have begun are left as they are, and tasks that no longer
        exist are no error. To ask for the same once more changes nothing.
        """
        ...

    def throttle(self, arrays: Iterable[str], *, most: int) -> Amendment:
        """Let so many tasks of each array run at once, and let the others wait where they are.

        With one call for all. Tasks that run go on, whatever their number. To ask for the same once
        more changes nothing.

        Args:
            arrays: Ids of arrays: what stands before the `_` in the ids of their tasks.
            most: At least 1; 0: as many as there are.
        """
        ...

    def limits(self, partition: str | None) -> Limits | None:
        """Return what there is at most in partitions (`a,b`; None: the default).

        None: the scheduler did not answer.
        """
        ...

    def quota(self) -> Quota:
        """Return how many jobs it takes, as far as it tells that."""
        ...

    def pause_seconds(self) -> float:
        """How long a polite caller waits before the next call; 0 while calls are plenty."""
        ...

    def script(self, order: Order) -> str:
        """Return the text that `submit` would hand to the scheduler."""
        ...
