"""What a look at Slurm says when its commands hang, fail, lag behind or speak of other jobs."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db.states import JobState
from orchestrator.cluster import accounting
from orchestrator.cluster.base import JobStatus, KnownJob, LivingJob
from orchestrator.cluster.commands import CallBudget, Commands
from tests.cluster.processes import all_processes
from tests.main_job.runs import wait_until
from tests.scheduler.orders import statuses
from tests.scheduler.test_fakes import Site, cluster, site

__all__ = ["site"]

RECORDED = datetime.fromtimestamp(1795264981, UTC)
FAMILY = "hw-rec-"
# One that both commands know, and one that left the queue.
JOBS = {"526": "hw-rec-two", "531": "hw-rec-seven", "999": "hw-rec-none"}


class Later:
    """A clock that can be put on."""

    def __init__(self) -> None:
        self.by = 0.0
        self._real = time.monotonic

    def __call__(self) -> float:
        return self._real() + self.by


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Whoever waits for a pause to pass waits no longer."""
    clock = Later()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def calls(site: Site, command: str) -> list[str]:
    return [call for call in site.calls() if call.split()[0] == command]


def known(job_id: str, name: str, **values: object) -> dict[str, KnownJob]:
    return {job_id: KnownJob(name=name, **values)}  # type: ignore[arg-type]


# The accounting


def test_a_hanging_accounting_does_not_hold_back_what_the_queue_says(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounting, "PATIENCE_SECONDS", 0.2)
    answer = (Path(__file__).with_name("answers") / "sacct.txt").read_text()
    site.prints("squeue", "526|RUNNING|node1|None|1795264981|me|normal|alpha|hw-rec-two")
    go = tmp_path / "go"
    site.command("sacct", f"until test -e {go}; do sleep 0.1; done\ncat <<'END'\n{answer}END")
    asked = cluster(limit_seconds=60)
    for _ in range(3):
        found = statuses(asked, JOBS)
        assert found["526"].state == JobState.RUNNING
        assert found["531"].state == found["999"].state == JobState.UNKNOWN
    assert len(calls(site, "sacct")) == 1, "nobody asks again while it is still at work"
    go.touch()
    # The answer that came late is used, with what it denies.
    wait_until(lambda: statuses(asked, JOBS)["531"].state == JobState.COMPLETED, 30)


def test_a_late_answer_also_denies(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounting, "PATIENCE_SECONDS", 0.0)
    site.command("sacct", "exit 0")
    asked = cluster()
    wait_until(lambda: statuses(asked, JOBS)["999"].state == JobState.GONE, 30)


def test_an_accounting_that_fails_is_asked_less_and_less_often(site: Site, later: Later) -> None:
    site.fails("sacct", "slurmdbd: Connection refused")
    asked = cluster()
    moments = []
    for second in range(0, 400, 5):
        later.by = second
        before = len(calls(site, "sacct"))
        assert statuses(asked, {"999": "hw-rec-none"})["999"].state == JobState.UNKNOWN
        if len(calls(site, "sacct")) > before:
            moments.append(second)
    pauses = [after - before for before, after in itertools.pairwise(moments)]
    assert pauses == sorted(pauses)
    assert pauses[0] >= 10
    assert 4 <= len(moments) <= 7


def test_after_ten_minutes_without_accounting_the_queue_is_believed_alone(
    site: Site, later: Later
) -> None:
    site.fails("sacct", "slurmdbd: Connection refused")
    asked = cluster()
    for minute in range(10):
        later.by = minute * 60
        assert statuses(asked, JOBS)["999"].state == JobState.UNKNOWN
    later.by = 1200
    assert statuses(asked, JOBS)["999"].state == JobState.GONE
    site.prints("sacct", "999|FAILED|node1|1:0|1795264981|hw-rec-none")
    later.by = 2400
    assert statuses(asked, JOBS)["999"].state == JobState.FAILED


def test_a_job_of_yesterday_with_the_same_id_is_another_one(site: Site) -> None:
    site.prints("squeue", "7|RUNNING|node1|None|1795264981|me|normal|alpha|hw-rec-one")
    site.prints("sacct", "8|FAILED|node1|1:0|1795264981|hw-rec-two")
    day, minute = timedelta(days=1), timedelta(minutes=1)
    jobs = {
        "7": KnownJob(name="hw-rec-one", not_before=RECORDED + day),
        "8": KnownJob(name="hw-rec-two", not_before=RECORDED + day),
    }
    found = cluster().survey(jobs).statuses
    assert {status.state for status in found.values()} == {JobState.GONE}
    jobs = {
        "7": KnownJob(name="hw-rec-one", not_before=RECORDED + minute),
        "8": KnownJob(name="hw-rec-two", not_before=RECORDED - day),
    }
    found = cluster().survey(jobs).statuses
    assert [found[key].state for key in ("7", "8")] == [JobState.RUNNING, JobState.FAILED]


def test_the_accounting_tells_who_cancelled_a_job(site: Site) -> None:
    found = cluster().survey(known("528", "hw-rec-four", is_claimed=True)).statuses
    assert found["528"].word == "CANCELLED by root"
    site.command("sacct", "exit 1")
    found = cluster().survey(known("528", "hw-rec-four", is_claimed=True)).statuses
    assert (found["528"].state, found["528"].word) == (JobState.CANCELLED, "CANCELLED")
    assert calls(site, "sinfo") == []


def test_nobody_is_asked_about_jobs_that_we_cancelled_ourselves(site: Site) -> None:
    found = cluster().survey(known("528", "hw-rec-four", is_unwanted=True)).statuses
    assert found["528"].state == JobState.CANCELLED
    assert {call.split()[0] for call in site.calls()} == {"squeue"}


# Nodes that cannot begin a job


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ("node2|drained|1795264990|Prolog error", "drained: Prolog error"),
        ("node2|down*|Unknown|none", "down*"),
        ("node2|idle|Unknown|none", ""),
        ("", ""),
    ],
)
def test_a_job_that_was_cancelled_before_it_began_makes_us_look_at_its_node(
    site: Site, told: str, fault: str
) -> None:
    site.prints("sinfo", told)
    found = cluster().survey(known("528", "hw-rec-four") | known("525", "hw-rec-one")).statuses
    assert (found["528"].state, found["528"].host_fault) == (JobState.CANCELLED, fault)
    assert found["525"].host_fault == ""
    assert len(calls(site, "sinfo")) == 1
    assert "--nodes=node2 " in calls(site, "sinfo")[0]


def test_a_held_job_whose_launch_failed_has_ended_and_is_still_there(site: Site) -> None:
    site.prints(
        "squeue", "8|PENDING||launch failed requeued held|1795264999|me|normal|alpha|hw-rec-a"
    )
    found = cluster().survey(known("8", "hw-rec-a"), family=FAMILY)
    assert found.statuses["8"] == JobStatus(
        state=JobState.NODE_FAIL,
        word="launch failed requeued held",
        reason="launch failed requeued held",
        is_held=True,
    )
    assert found.living == (LivingJob(job_id="8", name="hw-rec-a", is_pending=True),)


# All own jobs


def test_a_look_sees_all_living_jobs_of_the_family(site: Site) -> None:
    found = cluster().survey({}, family=FAMILY)
    pending = {job.job_id: job.is_pending for job in found.living}
    assert pending == {
        "534_0": True,
        "534_1": True,
        "527_0": False,
        "527_2": False,
        "530": False,
    }
    assert cluster().survey({}, family="hw-other-").living == ()
    site.prints("squeue", "530|COMPLETING|node2|None|1|me|normal|alpha|hw-rec-six")
    assert cluster().survey({}, family=FAMILY).living == ()
    site.command("squeue", "exit 1")
    assert cluster().survey({}, family=FAMILY).living == ()


def test_a_job_whose_name_was_not_noted_is_known_by_the_family(site: Site) -> None:
    found = cluster().survey(known("525", ""), family=FAMILY).statuses
    assert found["525"].state == JobState.COMPLETED
    found = cluster().survey(known("525", ""), family="hw-other-").statuses
    assert found["525"].state == JobState.GONE


def test_one_look_is_one_call_of_squeue_whatever_is_asked(site: Site) -> None:
    asked = known("525", "hw-rec-one")
    found = cluster().survey(asked, names=["hw-rec-three", "hw-rec-two"], family=FAMILY)
    assert found.found is not None
    assert found.found["hw-rec-two"] == {0: "526"}
    assert [call.split()[0] for call in site.calls()] == ["squeue"]


# Commands


def test_a_command_that_hangs_ends_with_all_that_it_started(site: Site) -> None:
    mark = "31.4159"
    site.command("squeue", f"sleep {mark} &\nsleep {mark}")
    result = Commands(CallBudget()).run("squeue", limit_seconds=0.5)
    assert result.code is None
    assert "did not answer within 0.5 s" in result.errors
    wait_until(lambda: not [p for p in all_processes() if mark in _words(p.pid)], 10)


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_whether_a_cancelling_was_heard_is_told(site: Site) -> None:
    site.prints("scancel", "")
    assert cluster().cancel(["8"])
    assert cluster().cancel([])
    site.fails("scancel", "Unable to contact slurm controller")
    assert not cluster().cancel(["8"])
    site.command("scancel", "sleep 60")
    assert not cluster(limit_seconds=0.3).cancel(["8"])
