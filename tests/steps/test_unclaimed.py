"""Reports of workers that could not claim their attempts, while another job may run them."""

from __future__ import annotations

import pytest

from db.records import Claim
from db.restarts import nonce_of
from db.spool import assignments
from db.spool.reports import write_report
from tests.steps.worker import Worker
from tests.steps.world import World, attempts_of, status_of
from worker.payloads import unclaimed

REASON = "job 999999 had not claimed its attempt, which another worker may run"


def claim_of(job: str | None, nonce: str, restart: int) -> Claim:
    claim: Claim = {
        "claim": nonce_of(nonce, restart),
        "host": "h",
        "slurm_job_id": job,
        "pid": 1,
        "started_at": "2030-01-02T03:04:05.678901+00:00",
    }
    if restart:
        claim["restart"] = restart
    return claim


def claim_as(world: World, *, job: str, restart: int = 0) -> None:
    """Let a worker of this job begin the first trial."""
    claim = claim_of(job, "first", restart)
    token = world.cluster.orders[0].token
    if world.transport == "direct":
        assert world._direct().claim(token, 0, claim)
    else:
        found = assignments.claim(world._spool, token, 0, claim["claim"])
        assert found
        Worker(world, found).send("START", claim)
    world.tick()
    assert attempts_of(world, 0) == [("STARTED", None)]


def say_unclaimed(world: World, *, job: str | None, restart: int = 0) -> None:
    """Let a worker report that it could not claim the first trial; so it does through the spool."""
    claim = claim_of(job, "other", restart)
    token = world.cluster.orders[0].token
    write_report(world._spool, unclaimed(claim, token, 0, problem="misfit", is_unfit=True))


def test_a_job_that_could_not_claim_does_not_end_what_another_job_runs(
    world: World, workers: list[Worker]
) -> None:
    say_unclaimed(world, job="999999")
    world.ticks(3)
    assert attempts_of(world, 0) == [("STARTED", None)]
    reasons = [row["payload"]["reason"] for row in world.rows("event", kind="refused")]
    assert reasons == [REASON]
    workers[0].end()
    world.tick()
    assert status_of(world, 0) == "COMPLETED"


def test_the_job_on_record_counts_for_less_than_the_one_that_claimed(world: World) -> None:
    world.ticks(3)
    (order,) = world.cluster.orders
    claim_as(world, job="999999")
    assert world.rows("attempt")[0]["slurm_job_id"] == world.cluster.names[order.name][0]
    say_unclaimed(world, job=world.cluster.names[order.name][0])
    world.tick()
    assert attempts_of(world, 0) == [("STARTED", None)]


def test_a_job_that_did_claim_and_does_not_know_it_ends_its_attempt(
    world: World, workers: list[Worker]
) -> None:
    say_unclaimed(world, job=world.job_of(workers[0]))
    world.tick()
    assert attempts_of(world, 0)[0] == ("FAILED", "NODE")


def test_what_an_earlier_run_of_a_requeued_job_says_does_not_end_the_later_one(
    world: World,
) -> None:
    world.ticks(3)
    (order,) = world.cluster.orders
    job = world.cluster.names[order.name][0]
    claim_as(world, job=job, restart=2)
    say_unclaimed(world, job=job, restart=1)
    world.tick()
    assert attempts_of(world, 0) == [("STARTED", None)]


def test_a_later_run_that_could_not_claim_is_heard_after_a_ghost(
    world: World, workers: list[Worker]
) -> None:
    say_unclaimed(world, job="999999")
    world.tick()
    say_unclaimed(world, job=world.job_of(workers[0]), restart=1)
    world.tick()
    assert attempts_of(world, 0)[0] == ("FAILED", "NODE")


@pytest.mark.parametrize("job", [None, "999999"])
def test_an_attempt_that_nobody_claimed_ends(world: World, job: str | None) -> None:
    world.ticks(3)
    say_unclaimed(world, job=job)
    world.tick()
    assert attempts_of(world, 0)[0] == ("FAILED", "NODE")


class TestThroughFiles:
    """What can only happen where a worker takes a file, and tells of it a moment later."""

    @pytest.fixture
    def transport(self) -> str:
        return "spool"

    def test_a_worker_that_was_not_heard_yet_keeps_its_attempt(self, world: World) -> None:
        world.ticks(3)
        (order,) = world.cluster.orders
        worker = world.claim(order, reports=False)
        assert worker is not None
        say_unclaimed(world, job="999999")
        world.tick()
        assert attempts_of(world, 0) == [("SUBMITTED", None)]
        assert [row["payload"]["reason"] for row in world.rows("event", kind="refused")] == [REASON]
        worker.end()
        world.tick()
        assert status_of(world, 0) == "COMPLETED"
