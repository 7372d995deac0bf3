"""Jobs that a host could not start and that Slurm holds: which host it was (recorded: 22.05.8)."""

from __future__ import annotations

import pytest

from db.states import JobState
from orchestrator.cluster.base import JobStatus, KnownJob
from tests.scheduler.test_fakes import Site, cluster, site

__all__ = ["site"]

FAMILY = "hw-rec-"
HELD = "launch failed requeued held"
# A job, and a task of an array.
JOBS = {"15": KnownJob(name="hw-rec-a"), "16_0": KnownJob(name="hw-rec-b")}
QUEUE = f"15|PENDING||{HELD}|1795264999|me|normal|alpha|hw-rec-a\n16_0|PENDING||{HELD}|1795265050|me|normal|alpha|hw-rec-b"
RUNS = """15|REQUEUED|node1|0:0|1795264998|hw-rec-a
16_0|REQUEUED|node2|0:0|1795264998|hw-rec-b
16_1|COMPLETED|node3|0:0|1795264998|hw-rec-b
15|PENDING|None assigned|0:0|1795264999|hw-rec-a
16_0|PENDING|None assigned|0:0|1795265050|hw-rec-b"""
DRAINED = """node1|drained|1795264999|Prolog error
node2|drained*|1795265049|Prolog error
node3|allocated|Unknown|none
node4|down|1795200000|broken"""


def hosts_of(statuses: dict[str, JobStatus]) -> dict[str, str | None]:
    assert all(s.state == JobState.NODE_FAIL and s.is_held for s in statuses.values())
    assert {s.word for s in statuses.values()} == {HELD}
    return {key: status.host for key, status in statuses.items()}


def asked(site: Site, command: str) -> int:
    return len([call for call in site.calls() if call.split()[0] == command])


@pytest.fixture(autouse=True)
def _queue(site: Site) -> None:
    site.prints("squeue", QUEUE)
    site.prints("sinfo", DRAINED)
    site.prints("sacct", RUNS)


def test_the_accounting_says_where_held_jobs_could_not_begin(site: Site) -> None:
    slurm = cluster()
    for _ in range(2):
        found = slurm.survey(JOBS, family=FAMILY).statuses
        assert hosts_of(found) == {"15": "node1", "16_0": "node2"}
    assert asked(site, "sacct") == 1, "what is known is not asked for again"
    assert "--duplicates" in site.calls()[1]
    assert asked(site, "sinfo") == 0


def test_without_accounting_the_hosts_that_were_drained_in_that_moment_say_it(site: Site) -> None:
    site.fails("sacct", "Slurm accounting storage is disabled")
    assert hosts_of(cluster().survey(JOBS).statuses) == {"15": "node1", "16_0": "node2"}
    assert asked(site, "sinfo") == 1


def test_of_two_hosts_that_were_drained_at_once_none_is_blamed(site: Site) -> None:
    site.fails("sacct", "Slurm accounting storage is disabled")
    site.prints("sinfo", DRAINED.replace("1795265049", "1795264999"))
    slurm = cluster()
    for _ in range(5):
        assert hosts_of(slurm.survey(JOBS).statuses) == {"15": None, "16_0": None}
    assert asked(site, "sinfo") == 3, "it does not help to ask for ever"


def test_squeue_shows_the_host_for_a_moment_which_is_remembered(site: Site) -> None:
    site.prints("sacct", "")
    site.prints("sinfo", "")
    job = {"15": JOBS["15"]}
    site.prints("squeue", f"15|COMPLETING|node7|{HELD}|1795264999|me|normal|alpha|hw-rec-a")
    slurm = cluster()
    assert hosts_of(slurm.survey(job).statuses) == {"15": "node7"}
    site.prints("squeue", QUEUE)
    found = slurm.survey(job, family=FAMILY)
    assert hosts_of(found.statuses) == {"15": "node7"}
    assert [(job.job_id, job.is_pending) for job in found.living] == [("15", True), ("16_0", True)]


def test_another_job_that_had_the_id_says_nothing(site: Site) -> None:
    site.prints("sacct", RUNS.replace("hw-rec-a", "hw-rec-z"))
    site.prints("sinfo", "")
    assert hosts_of(cluster().survey(JOBS).statuses) == {"15": None, "16_0": "node2"}


@pytest.mark.parametrize(
    ("runs", "is_claimed", "state"),
    [
        (RUNS, False, JobState.NODE_FAIL),
        (RUNS, True, JobState.PENDING),
        ("15|PENDING|None assigned|0:0|1795264999|hw-rec-a", False, JobState.PENDING),
    ],
)
def test_a_job_that_an_administrator_holds_waits_unless_slurm_had_begun_it(
    site: Site, runs: str, is_claimed: bool, state: JobState
) -> None:
    site.prints("squeue", "15|PENDING||JobHeldAdmin|1795264999|me|normal|alpha|hw-rec-a")
    site.prints("sacct", runs)
    slurm = cluster()
    for _ in range(5):
        job = KnownJob(name="hw-rec-a", is_claimed=is_claimed)
        found = slurm.survey({"15": job}).statuses["15"]
        assert (found.state, found.is_held) == (state, state == JobState.NODE_FAIL)
    assert asked(site, "sacct") <= 3, "an administrator may hold a job for days"
    assert asked(site, "sinfo") == 0


# Tasks of arrays without --requeue


def running(site: Site, *, drained: str) -> None:
    site.prints("squeue", "16_0|RUNNING|node1|None|1795264999|me|normal|alpha|hw-rec-b")
    site.prints("sinfo", drained)


def test_a_task_whose_host_was_drained_by_its_prolog_does_not_run(site: Site) -> None:
    running(site, drained="node1|draining|1795264999|Prolog error")
    slurm, job = cluster(), {"16_0": KnownJob(name="hw-rec-b")}
    found = [slurm.survey(job).statuses["16_0"] for _ in range(4)]
    assert [status.state for status in found[:2]] == [JobState.RUNNING] * 2, "it may just begin"
    assert [status.state for status in found[2:]] == [JobState.NODE_FAIL] * 2
    assert (found[3].host, found[3].is_held) == ("node1", True)
    assert found[3].word == "launch failed (draining: Prolog error)"
    heard = slurm.survey({"16_0": KnownJob(name="hw-rec-b", is_claimed=True)}).statuses["16_0"]
    assert heard.state == JobState.RUNNING, "a worker that is heard runs, whatever its host is"


@pytest.mark.parametrize(
    ("drained", "job"),
    [
        ("node1|draining|1795264999|Prolog error", KnownJob(name="hw-rec-b", is_claimed=True)),
        ("node1|draining|1795264999|Prolog error", KnownJob(name="hw-rec-b", is_unwanted=True)),
        ("node1|draining|1795264999|maintenance on Monday", JOBS["16_0"]),
        ("node1|allocated|Unknown|none", JOBS["16_0"]),
        ("", JOBS["16_0"]),
    ],
)
def test_a_task_runs_unless_its_prolog_failed(site: Site, drained: str, job: KnownJob) -> None:
    running(site, drained=drained)
    slurm = cluster()
    for _ in range(12):
        assert slurm.survey({"16_0": job}).statuses["16_0"].state == JobState.RUNNING
    assert asked(site, "sinfo") <= 3, "a prolog may take long: asked less and less often"
