"""Jobs that Slurm requeues: the same job, the next attempt, and nothing is submitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from db.records import Claim
from db.restarts import nonce_of
from db.spool import assignments
from db.spool.reports import write_report
from db.states import JobState
from tests.steps.worker import Worker
from tests.steps.world import World, attempts_of, status_of
from worker.payloads import unclaimed

STOPPED: dict[str, Any] = {"cause": "TERMINATED", "exit_code": None, "signal": 15, "results": {}}
CUT_OFF = ("FAILED", "PREEMPTED")


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """One slot, so that each new submission can be seen; Slurm requeues."""
    return make_world(num_parallel_jobs=1, max_eval=1, resources={"requeue": True})


@pytest.fixture
def worker(world: World) -> Worker:
    """The worker of the job's first run."""
    world.ticks(3)
    (worker,) = world.claim_all()
    return worker


def requeue(world: World, worker: Worker) -> None:
    """Let Slurm put the job back into its queue."""
    world.cluster.set(world.job_of(worker), JobState.PENDING, reason="BeginTime")
    world.look(2)


def run_again(world: World, restart: int = 1, *, reports: bool = True) -> Worker | None:
    """Let Slurm start the job again, and its worker claim."""
    (order,) = world.cluster.orders
    job_id = world.cluster.names[order.name][0]
    claim: Claim = {
        "claim": nonce_of(f"n{restart}", restart),
        "host": f"again{restart}",
        "slurm_job_id": job_id,
        "pid": 1,
        "started_at": "2030-01-02T03:05:05.000000+00:00",
        "restart": restart,
    }
    world.cluster.set(job_id, JobState.RUNNING, host="again")
    if world.transport == "direct":
        found = world._direct().claim(order.token, 0, claim)
    else:
        found = assignments.take_over(world._spool, order.token, 0, claim["claim"])
    if found is None:
        return None
    worker = Worker(world, found)
    if world.transport == "spool" and reports:
        worker.send("START", claim)
    return worker


def again(world: World, restart: int = 1) -> Worker:
    worker = run_again(world, restart)
    assert worker is not None
    world.tick()
    return worker


def test_a_requeued_job_is_the_next_attempt_and_nothing_is_submitted(
    world: World, worker: Worker
) -> None:
    worker.end(**STOPPED)
    requeue(world, worker)
    assert attempts_of(world, 0) == [("STARTED", None)]
    world.look(2)
    assert len(world.noted("Slurm has requeued a job: its trial waits for it")) == 1
    second = again(world)
    assert attempts_of(world, 0) == [CUT_OFF, ("STARTED", None)]
    second.end()
    world.ticks(2)
    assert attempts_of(world, 0) == [CUT_OFF, ("SUCCEEDED", None)]
    assert status_of(world, 0) == "COMPLETED"
    assert len(world.cluster.orders) == 1
    (event,) = world.rows("event", kind="restarted")
    first_id, second_id = (row["id"] for row in world.rows("attempt"))
    assert event["payload"] == {
        "trial_index": 0,
        "attempt": second_id,
        "previous": first_id,
        "restart": 1,
        "host": "again1",
    }


def test_a_job_whose_node_died_goes_on_without_any_report_of_its_first_run(
    world: World, worker: Worker
) -> None:
    requeue(world, worker)
    again(world).end()
    world.ticks(2)
    assert attempts_of(world, 0) == [CUT_OFF, ("SUCCEEDED", None)]


def test_the_log_of_a_later_run_tells_that_it_was_killed_for_its_memory(
    world: World, worker: Worker
) -> None:
    requeue(world, worker)
    second = again(world)
    log = world.run_dir / second.assignment["log_path"]
    log.parent.mkdir(parents=True)
    log.write_text("slurmstepd: error: Job 1 exceeded memory limit (5 > 4), being killed\n")
    world.finish_job(second, JobState.FAILED)
    world.look(2)
    assert attempts_of(world, 0) == [CUT_OFF, ("FAILED", "OUT_OF_MEMORY")]


def test_ten_preemptions_cost_no_try_and_leave_nothing_behind(world: World, worker: Worker) -> None:
    for restart in range(1, 11):
        worker.end(**STOPPED)
        requeue(world, worker)
        worker = again(world, restart)
        assert worker.assignment["number"] == restart + 1
    worker.fail()
    world.ticks(2)
    ended = [CUT_OFF] * 10 + [("FAILED", "PROGRAM")]
    assert attempts_of(world, 0) == [*ended, ("SUBMITTED", None)], "its further try was not used up"
    left = [path.name for path in world.run_dir.rglob("spool/*/*") if ".claimed-" in path.name]
    assert left == []


def test_a_run_that_is_cut_off_before_the_head_has_heard_of_it_is_followed(
    world: World, worker: Worker
) -> None:
    second = run_again(world)
    assert second is not None
    second.end(**STOPPED)
    world.ticks(2)
    assert attempts_of(world, 0) == [CUT_OFF, ("STARTED", None)]
    requeue(world, second)
    again(world, 2).end()
    world.ticks(2)
    assert attempts_of(world, 0) == [CUT_OFF, CUT_OFF, ("SUCCEEDED", None)]


@pytest.mark.parametrize("code", [0, 1])
def test_a_run_that_ends_before_the_head_has_heard_of_it_is_followed(
    world: World, worker: Worker, code: int
) -> None:
    second = run_again(world)
    assert second is not None
    second.end(exit_code=code)
    world.tick(accept_new=False)
    state, failure = ("FAILED", "PROGRAM") if code else ("SUCCEEDED", None)
    assert attempts_of(world, 0) == [CUT_OFF, (state, failure)]
    assert not world.ledger.attempts


def test_what_an_interrupted_run_measured_is_kept(world: World, worker: Worker) -> None:
    worker.end(**STOPPED)
    requeue(world, worker)
    (row,) = world.rows("attempt")
    assert row["measured"]["wall_seconds"] == 61.4
    assert all(report["consumed_at"] for report in world.rows("report"))
    again(world)
    assert not world.rows("event", kind="refused")


def test_an_end_that_is_read_after_the_next_run_began_ends_nothing(
    world: World, worker: Worker
) -> None:
    second = again(world)
    worker.end(**STOPPED)
    world.ticks(2)
    assert attempts_of(world, 0) == [CUT_OFF, ("STARTED", None)]
    assert world.rows("attempt")[0]["signal"] == 15
    assert not world.rows("event", kind="refused")
    second.end()
    world.tick()
    assert status_of(world, 0) == "COMPLETED"


def test_an_interruption_that_slurm_has_not_explained_yet_waits(
    world: World, worker: Worker
) -> None:
    world.look()
    worker.end(**STOPPED)
    world.ticks(2)
    assert attempts_of(world, 0) == [("STARTED", None)]
    assert [report["consumed_at"] is None for report in world.rows("report")] == [False, True]


def test_a_host_that_failed_under_a_job_is_excluded_while_the_job_waits_again(
    world: World, worker: Worker
) -> None:
    job = world.job_of(worker)
    world.cluster.set(job, JobState.PENDING, reason="BeginTime", lost_host="node5")
    world.look(2)
    assert [row["payload"]["host"] for row in world.rows("event", kind="excluded")] == ["node5"]
    world.look(2)
    assert world.cluster.amended == [([job], ["node5"])], "it does not come back there"
    again(world).end()
    world.tick()
    assert attempts_of(world, 0) == [CUT_OFF, ("SUCCEEDED", None)]
    assert len(world.rows("event", kind="excluded")) == 1


def test_a_requeued_job_that_is_cancelled_while_it_waits_ends_its_trial(
    world: World, worker: Worker
) -> None:
    worker.end(**STOPPED)
    requeue(world, worker)
    world.finish_job(worker, JobState.CANCELLED)
    world.look(3)
    assert attempts_of(world, 0) == [("CANCELLED", "CANCELLED")]
    assert status_of(world, 0) == "ABANDONED"


def test_a_requeued_job_that_is_taken_back_for_a_stop_waits_for_a_resume(
    world: World, worker: Worker
) -> None:
    requeue(world, worker)
    (attempt,) = world.ledger.attempts.values()
    assert attempt.waits_again
    attempt.is_withdrawn = True
    world.finish_job(worker, JobState.CANCELLED)
    for _ in range(6):
        world.clock.now += 60
        world.tick(accept_new=False)
    assert attempts_of(world, 0) == [CUT_OFF]
    assert list(world.ledger.waiting) == [attempt.trial_id]


def test_a_result_of_the_first_run_leaves_nothing_for_the_second(
    world: World, worker: Worker
) -> None:
    worker.end()
    requeue(world, worker)
    assert run_again(world) is None
    assert attempts_of(world, 0) == [("SUCCEEDED", None)]
    assert status_of(world, 0) == "COMPLETED"


def test_a_result_that_waits_to_be_read_leaves_nothing_for_the_second_run(
    world: World, worker: Worker
) -> None:
    worker.end()
    assert run_again(world) is None
    world.ticks(2)
    assert attempts_of(world, 0) == [("SUCCEEDED", None)]


def test_a_late_result_of_the_first_run_ends_the_second(world: World, worker: Worker) -> None:
    second = again(world)
    worker.end()
    world.tick()
    assert attempts_of(world, 0) == [("SUCCEEDED", "PREEMPTED"), ("SUPERSEDED", None)]
    assert world.job_of(second) in world.cluster.cancelled
    assert world.outcomes()[0] == {"LOSS": 0.0, "ACC": 0.0}


def test_a_late_result_that_is_read_together_with_the_second_start_counts_once(
    world: World, worker: Worker
) -> None:
    second = run_again(world)
    assert second is not None
    worker.end()
    world.ticks(3)
    assert status_of(world, 0) == "COMPLETED"
    assert [state for state, _ in attempts_of(world, 0)] == ["SUCCEEDED", "SUPERSEDED"]
    second.end(results={"LOSS": 9.0, "ACC": 9.0})
    world.ticks(2)
    assert world.outcomes()[0] == {"LOSS": 0.0, "ACC": 0.0}


def test_a_head_that_takes_over_goes_on_with_the_second_run(world: World, worker: Worker) -> None:
    requeue(world, worker)
    world.start_head()
    second = run_again(world)
    world.start_head()
    world.ticks(2)
    assert attempts_of(world, 0) == [CUT_OFF, ("STARTED", None)]
    assert second is not None
    second.end()
    world.tick()
    assert status_of(world, 0) == "COMPLETED"
    assert len(world.cluster.orders) == 1
    assert len(world.rows("event", kind="restarted")) == 1


def test_a_later_run_that_could_not_claim_lets_the_trial_try_again(
    world: World, worker: Worker
) -> None:
    again(world)
    (order,) = world.cluster.orders
    claim: Claim = {
        "claim": "n2.2",
        "host": "h",
        "slurm_job_id": world.job_of(worker),
        "pid": 1,
        "started_at": "",
        "restart": 2,
    }
    message = unclaimed(claim, order.token, 0, problem="no database", is_unfit=False)
    write_report(world._spool, message)
    world.ticks(2)
    assert attempts_of(world, 0)[:2] == [CUT_OFF, ("FAILED", "NO_DATABASE")]
    assert len(world.cluster.orders) == 2


def test_a_run_that_could_not_claim_keeps_no_result_out(world: World, worker: Worker) -> None:
    requeue(world, worker)
    (order,) = world.cluster.orders
    claim: Claim = {"claim": "n1.1", "host": "h", "slurm_job_id": None, "pid": 1, "started_at": ""}
    message = unclaimed(claim, order.token, 0, problem="no database", is_unfit=False)
    write_report(world._spool, message)
    world.ticks(2)
    assert attempts_of(world, 0)[0] == ("FAILED", "NO_DATABASE")
    worker.end()  # its node was only out of Slurm's sight
    world.ticks(2)
    assert attempts_of(world, 0)[0][0] == "SUCCEEDED"
    assert status_of(world, 0) == "COMPLETED"


class TestThroughFiles:
    """What can only happen where the head makes the attempt."""

    @pytest.fixture
    def transport(self) -> str:
        return "spool"

    def test_a_run_whose_start_got_lost_is_known_by_its_other_messages(
        self, world: World, worker: Worker
    ) -> None:
        second = run_again(world, reports=False)
        assert second is not None
        second.end()
        world.ticks(2)
        assert attempts_of(world, 0) == [CUT_OFF, ("SUCCEEDED", None)]

    def test_a_start_that_comes_after_other_messages_tells_who_claimed(
        self, world: World, worker: Worker
    ) -> None:
        second = run_again(world, reports=False)
        assert second is not None
        second.send("METRIC", {"metrics": []})
        world.ticks(2)
        second.send("START", {"claim": "n1.1", "host": "h", "slurm_job_id": None, "restart": 1})
        world.ticks(2)
        (attempt,) = world.ledger.attempts.values()
        assert attempt.claim == "n1.1"
        assert attempts_of(world, 0) == [CUT_OFF, ("STARTED", None)]

    def test_a_job_that_runs_again_after_its_trial_went_on_elsewhere_is_ended(
        self, world: World, worker: Worker
    ) -> None:
        world.finish_job(worker, JobState.NODE_FAIL)
        for _ in range(6):
            world.clock.now += 60
            world.tick(accept_new=False)
        assert attempts_of(world, 0) == [("FAILED", "NODE")]
        token = f"{worker.assignment['attempt_token']}.1"
        claim = {"claim": "n1.1", "host": "h", "slurm_job_id": "1", "restart": 1}
        worker.send("START", claim, token=token)
        world.tick(accept_new=False)
        assert attempts_of(world, 0) == [("FAILED", "NODE"), ("SUPERSEDED", None)]
        assert "1" in world.cluster.cancelled
        assert not world.ledger.attempts

    def test_a_run_that_is_heard_of_after_a_later_one_changes_nothing(
        self, world: World, worker: Worker
    ) -> None:
        first = worker.assignment
        slow = run_again(world, 1, reports=False)
        assert slow is not None
        third = again(world, 2)
        slow.send("START", {"claim": "n1.1", "host": "h", "slurm_job_id": "1", "restart": 1})
        world.ticks(2)
        assert attempts_of(world, 0) == [CUT_OFF, ("STARTED", None), ("SUPERSEDED", None)]
        assert world.cluster.cancelled == [], "it is the same job"
        third.end()
        world.ticks(2)
        assert status_of(world, 0) == "COMPLETED"
        restarts = {row["token"]: row["restart"] for row in world.rows("attempt")}
        token = first["attempt_token"]
        assert restarts == {token: 0, f"{token}.2": 2, f"{token}.1": 1}

    def test_a_message_with_a_made_up_token_is_foreign(self, world: World, worker: Worker) -> None:
        claim = {"claim": "x", "host": "h", "slurm_job_id": None, "restart": 1}
        for token in ("abc.1", f"{worker.assignment['attempt_token']}.x", "."):
            worker.send("START", claim, token=token)
            world.tick()
        assert attempts_of(world, 0) == [("STARTED", None)]
        assert len(world.rows("event", kind="foreign")) == 3
