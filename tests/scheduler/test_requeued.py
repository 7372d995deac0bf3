"""Jobs that Slurm put back into its queue: whether their host failed (recorded: 22.05.8)."""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from db.states import JobState
from orchestrator.cluster import requeued
from orchestrator.cluster.base import JobStatus, KnownJob
from orchestrator.cluster.slurm import SlurmCluster
from orchestrator.spec.resources import Resources
from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import wait_until
from tests.scheduler.orders import ENTRY, TIMING, Jobs
from tests.scheduler.test_fakes import Site, cluster, site

__all__ = ["site"]

# When Slurm put them back, and when it had taken them the first time.
BACK = 1795264999
BEGAN = BACK - 300
# A job, and a task of an array, both with a worker that had begun.
JOBS = {
    "1": KnownJob(name="hw-rec-a", is_claimed=True),
    "2_1": KnownJob(name="hw-rec-b", is_claimed=True),
}
FAILED = f"1|NODE_FAIL|node1|0:0|{BEGAN}|hw-rec-a\n2_1|NODE_FAIL|node2|0:0|{BEGAN}|hw-rec-b"
WAITING = (
    f"1|PENDING|None assigned|0:0|{BACK}|hw-rec-a\n2_1|PENDING|None assigned|0:0|{BACK}|hw-rec-b"
)


@pytest.fixture(autouse=True)
def recent(monkeypatch: pytest.MonkeyPatch) -> timedelta:
    """The recorded answers are as good as new; returns for how long real ones are."""
    real = requeued.RECENT
    monkeypatch.setattr(requeued, "RECENT", timedelta.max)
    return real


def queue(site: Site, *, since: int = BACK) -> None:
    rows = (
        f"1|PENDING||BeginTime|{since}|me|normal|alpha|hw-rec-a",
        f"2_1|PENDING||BeginTime|{since}|me|normal|alpha|hw-rec-b",
    )
    site.prints("squeue", "\n".join(rows))


def lost_hosts(jobs: dict[str, KnownJob], *, looks: int = 1) -> dict[str, str | None]:
    slurm = cluster()
    for _ in range(looks):
        statuses = slurm.survey(jobs).statuses
        assert {status.state for status in statuses.values()} == {JobState.PENDING}
    return {key: status.lost_host for key, status in statuses.items()}


def asked(site: Site) -> list[str]:
    return [call for call in site.calls() if call.startswith("sacct")]


def test_the_host_that_failed_under_a_job_is_named(site: Site) -> None:
    queue(site)
    site.prints("sacct", f"{FAILED}\n{WAITING}")
    assert lost_hosts(JOBS, looks=3) == {"1": "node1", "2_1": "node2"}
    (call,) = asked(site)
    assert "--jobs=1,2_1 --duplicates" in call


@pytest.mark.parametrize("word", ["PREEMPTED", "REQUEUED", "CANCELLED by 0"])
def test_a_job_that_a_person_or_another_job_has_put_back_names_none(site: Site, word: str) -> None:
    queue(site)
    earlier = FAILED.replace(str(BEGAN), str(BEGAN - 60)).replace("node", "earlier")
    site.prints("sacct", f"{earlier}\n{FAILED.replace('NODE_FAIL', word)}\n{WAITING}")
    assert lost_hosts(JOBS, looks=3) == {"1": None, "2_1": None}
    assert len(asked(site)) == 1, "that is known then"


@pytest.mark.parametrize("told", [FAILED.replace("NODE_FAIL", "RUNNING"), WAITING, ""])
def test_an_accounting_that_is_behind_is_not_asked_for_ever(site: Site, told: str) -> None:
    queue(site)
    site.prints("sacct", told)
    assert lost_hosts(JOBS, looks=5) == {"1": None, "2_1": None}
    assert len(asked(site)) == 3


def test_another_job_that_had_the_id_names_none(site: Site) -> None:
    queue(site)
    site.prints("sacct", FAILED.replace("hw-rec-a", "hw-rec-z"))
    assert lost_hosts(JOBS) == {"1": None, "2_1": "node2"}


def test_nobody_is_asked_about_jobs_that_were_put_back_long_ago_or_never_began(
    site: Site, recent: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.prints("sacct", FAILED)
    queue(site)
    new = {key: KnownJob(name=job.name) for key, job in JOBS.items()}
    assert lost_hosts(new) == {"1": None, "2_1": None}
    monkeypatch.setattr(requeued, "RECENT", recent)
    queue(site, since=int(time.time() - 2 * recent.total_seconds()))
    assert lost_hosts(JOBS) == {"1": None, "2_1": None}
    assert asked(site) == []


# On a real Slurm


@pytest.fixture
def jobs(
    slurm_cluster: PrivateSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Jobs]:
    """A run folder; the node that a test takes down is up again afterwards."""
    for name, value in slurm_cluster.environment().items():
        monkeypatch.setenv(name, value)

    def make() -> SlurmCluster:
        return SlurmCluster(entry=ENTRY, timing=TIMING, user=getpass.getuser())

    jobs = Jobs(make(), make, tmp_path / "run")
    yield jobs
    jobs.clean_up()
    slurm_cluster.run("scontrol", "update", "nodename=node1", "state=resume", check=False)
    slurm_cluster.wait_ready()


def on_node(jobs: Jobs, slurm: PrivateSlurm, name: str) -> str:
    """Let a job run there that may be requeued; returns its id."""
    others = tuple(node for node in slurm.settings.node_names if node != name)
    _, answer = jobs.submit(resources=Resources(requeue=True, exclude=others))
    (job_id,) = answer.job_ids
    jobs.wait_for({job_id: JobState.RUNNING})
    return job_id


def test_slurm_tells_a_host_that_failed_from_a_person_who_wants_a_job_to_run_again(
    jobs: Jobs, slurm_cluster: PrivateSlurm, recent: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requeued, "RECENT", recent)
    failed, wanted = (on_node(jobs, slurm_cluster, name) for name in ("node1", "node2"))
    slurm_cluster.run("scontrol", "update", "nodename=node1", "state=down", "reason=power")
    slurm_cluster.run("scontrol", "requeue", wanted)
    jobs.wait_for({failed: JobState.PENDING, wanted: JobState.PENDING})
    known = {key: KnownJob(name=jobs.submitted[key], is_claimed=True) for key in (failed, wanted)}

    def look() -> dict[str, JobStatus]:
        # A new one each time, as the accounting may be behind by more than the questions take.
        return jobs.make().survey(known).statuses

    wait_until(lambda: look()[failed].lost_host == "node1")
    assert look()[wanted].lost_host is None
