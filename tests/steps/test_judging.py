"""What is made of failures from all that is known: rules, Slurm, measurements, logs."""

from __future__ import annotations

import sqlite3
from signal import SIGBUS, SIGILL, SIGTERM
from typing import Any

import pytest

from db.states import JobState
from orchestrator.steps import readings
from orchestrator.steps.log_ends import LogEnds
from tests.steps.judged import STEP, MakeWorld, begin, evidence, fate, write_log
from tests.steps.worker import Worker
from tests.steps.world import World, attempts_of, status_of

CUDA = "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB."
LIMIT = "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2030-01-02T03:04:05 DUE TO TIME LIMIT ***"
ECC = "RuntimeError: CUDA error: uncorrectable ECC error encountered"
STALE = "OSError: [Errno 116] Stale file handle: '/home/u/x'"


@pytest.fixture
def transport() -> str:
    """How reports come is the same to whoever judges them."""
    return "direct"


def rule(name: str, text: str, behavior: str = "Restart", **changes: Any) -> dict[str, Any]:
    return {"name": name, "match_strings": [text], "behavior": behavior, **changes}


# What the program said


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"exit_code": 1, "tail": f"epoch 1\n{CUDA}\n"}, ("OUT_OF_MEMORY", "gpu-memory", "WEAK")),
        ({"results": {}, "tail": f"{STEP}\ndone\n"}, ("OUT_OF_MEMORY", "slurm-memory", "WEAK")),
        ({"exit_code": 1, "tail": STALE}, ("NODE", "stale-file", "PAIRED")),
        ({"exit_code": 1, "tail": "No space left on device"}, ("PROGRAM", "disk-full", "PAIRED")),
        ({"exit_code": None, "signal": SIGBUS}, ("PROGRAM", "bus-error", "PAIRED")),
        ({"exit_code": 128 + SIGILL}, ("PROGRAM", "missing-library", "PAIRED")),
        ({"exit_code": 1, "tail": "ValueError: x"}, ("PROGRAM", None, "PAIRED")),
        ({"exit_code": 1, "tail": ECC}, ("PROGRAM", None, "PAIRED")),
        ({"cause": "TIMEOUT", "exit_code": 1, "tail": CUDA}, ("TIMEOUT", None, "WEAK")),
    ],
)
def test_the_words_of_a_program_explain_its_failure(
    world: World, workers: list[Worker], changes: dict[str, Any], wanted: tuple[str, ...]
) -> None:
    workers[0].end(**changes)
    world.tick()
    assert fate(world) == wanted


def test_a_success_stays_one_whatever_its_log_holds(make_world: MakeWorld) -> None:
    world = make_world(rules=[rule("any", "memory")])
    worker = begin(world)[0]
    write_log(world, worker, f"{CUDA}\n{STEP}\n")
    worker.end(tail=f"{CUDA}\n{STEP}\n")
    world.tick()
    assert attempts_of(world, 0) == [("SUCCEEDED", None)]


def test_what_a_failure_rests_on_is_stored(world: World, workers: list[Worker]) -> None:
    workers[0].end(exit_code=1, tail=f"epoch 1\n{CUDA}\n")
    workers[1].end(exit_code=3, tail="Traceback\nValueError: no such thing\n======\n")
    world.tick()
    first, second = world.rows("attempt")[:2]
    assert first["failure_message"] == (f"the GPU's memory was too small (exit code 1): {CUDA}")
    assert first["failure_evidence"] == {
        "blame": "WEAK",
        "exit_code": 1,
        "line": CUDA,
        "patterns": 1,
    }
    assert second["failure_message"] == (
        "the program ended with exit code 3: ValueError: no such thing"
    )
    told = [event["payload"]["evidence"] for event in world.rows("event", kind="failure")]
    assert first["failure_evidence"] in told


def test_words_about_gpus_count_where_a_trial_asked_for_some(make_world: MakeWorld) -> None:
    world = make_world(resources={"gres": "gpu:1"})
    begin(world)[0].end(exit_code=1, tail=ECC)
    world.tick()
    assert fate(world) == ("NODE", "gpu-ecc", "PAIRED")


def test_the_log_is_read_where_the_last_words_do_not_tell(
    world: World, workers: list[Worker]
) -> None:
    write_log(world, workers[0], f"{CUDA}\n" + "shutting down\n" * 300)
    workers[0].end(exit_code=1, tail="shutting down\n" * 200)
    world.tick()
    assert fate(world) == ("OUT_OF_MEMORY", "gpu-memory", "WEAK")


# Rules


@pytest.mark.parametrize(
    ("behavior", "blame", "tries"),
    [
        ("Restart", "NONE", 2),
        ("RestartOnDifferentNode", "PAIRED", 2),
        ("ExcludeNode", "STRONG", 1),
        ("ExcludeNodeAndRestartAll", "STRONG", 2),
    ],
)
def test_a_rule_comes_before_all_else(
    make_world: MakeWorld, behavior: str, blame: str, tries: int
) -> None:
    world = make_world(rules=[rule("mine", "cuda OUT of", behavior), rule("late", "CUDA")])
    begin(world)[0].end(exit_code=1, tail=CUDA)
    world.ticks(3)
    assert fate(world) == ("RULE", "mine", blame)
    assert len(attempts_of(world, 0)) == tries
    assert evidence(world)["behavior"] == behavior
    assert evidence(world)["fits"] == "the text 'cuda OUT of'"
    assert evidence(world)["was"] == "PROGRAM"


def test_a_rule_sees_more_of_the_log_than_the_last_words(make_world: MakeWorld) -> None:
    world = make_world(rules=[rule("mine", "first cause"), rule("second", "shutting")])
    worker = begin(world)[0]
    write_log(world, worker, "a first cause\n" + "shutting down\n" * 4000)
    worker.end(exit_code=1, tail="shutting down\n" * 200)
    world.tick()
    assert fate(world) == ("RULE", "mine", "NONE")


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (JobState.NODE_FAIL, ("RULE", "mine", "NONE")),
        (JobState.FAILED, ("RULE", "mine", "NONE")),
        (JobState.PREEMPTED, ("PREEMPTED", None, "NONE")),
        (JobState.CANCELLED, ("CANCELLED", None, "NONE")),
    ],
)
def test_a_rule_also_fits_jobs_without_a_report_but_none_that_had_to_end(
    make_world: MakeWorld, state: JobState, wanted: tuple[str, ...]
) -> None:
    world = make_world(rules=[rule("mine", "storage")])
    worker = begin(world)[0]
    write_log(world, worker, "lost the storage\n")
    world.finish_job(worker, state)
    world.look(3)
    assert fate(world) == wanted


def test_a_rule_by_exit_code_needs_no_words(make_world: MakeWorld) -> None:
    world = make_world(rules=[{"name": "licence", "exit_codes": [9], "behavior": "Restart"}])
    first, second = begin(world)
    first.fail(9)
    second.fail(1)
    world.tick()
    assert (fate(world, 0)[0], fate(world, 1)[0]) == ("RULE", "PROGRAM")


# Jobs without a report


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (STEP, ("OUT_OF_MEMORY", "slurm-memory", "WEAK")),
        (LIMIT, ("TIMEOUT", "slurm-time", "WEAK")),
        (LIMIT.replace("TIME LIMIT", "PREEMPTION"), ("PREEMPTED", "slurm-preempted", "NONE")),
        (LIMIT.replace("TIME LIMIT", "NODE FAILURE"), ("NODE", "slurm-node", "PAIRED")),
        (CUDA, ("LOST", None, "WEAK")),
        ("", ("LOST", None, "WEAK")),
    ],
)
def test_slurms_own_words_explain_a_job_that_nobody_knows_any_more(
    world: World, workers: list[Worker], text: str, wanted: tuple[str, ...]
) -> None:
    write_log(world, workers[0], f"epoch 1\n{text}\n")
    del world.cluster.jobs[world.job_of(workers[0])]
    world.look(4)
    assert fate(world) == wanted


def test_a_job_that_was_told_to_stop_for_its_memory_is_known_by_its_log(
    world: World, workers: list[Worker]
) -> None:
    write_log(world, workers[0], f"{STEP}\n")
    workers[0].end(cause="TERMINATED", results={}, exit_code=143, told_by=SIGTERM)
    world.finish_job(workers[0], JobState.FAILED)
    world.look(2)
    assert fate(world) == ("OUT_OF_MEMORY", "slurm-memory", "WEAK")


@pytest.mark.parametrize(
    ("state", "blame"), [(JobState.NODE_FAIL, "STRONG"), (JobState.FAILED, "PAIRED")]
)
def test_only_slurms_own_word_is_strong_against_a_host(
    world: World, state: JobState, blame: str
) -> None:
    """Jobs that fail before they begin do so everywhere if Headway itself was removed."""
    world.ticks(3)
    world.cluster.set("1_0", state, host="node3")
    world.look(3)
    assert fate(world) == ("NODE", None, blame)


# Workers that did not begin


@pytest.mark.parametrize(
    ("changes", "kind", "blame"),
    [
        ({"is_unfit": True, "checks": {"gpus": 0, "failed": "gpus"}}, "NODE", "STRONG"),
        (
            {"is_unfit": True, "checks": {"failed": "--preflight", "preflight_exit_code": 127}},
            "NODE",
            "PAIRED",
        ),
        (
            {"is_unfit": True, "checks": {"failed": "run folder", "no_answer_seconds": 60}},
            "NODE",
            "PAIRED",
        ),
        ({"is_unfit": True}, "NODE", "PAIRED"),
        ({}, "NO_DATABASE", "PAIRED"),
    ],
)
def test_a_check_on_the_host_is_strong_and_other_misfits_are_not(
    world: World, workers: list[Worker], changes: dict[str, Any], kind: str, blame: str
) -> None:
    payload: Any = {
        "cause": "NOT_STARTED",
        "exit_code": None,
        "results": {},
        "problems": ["no GPU"],
        "submission_token": "t",
        "slurm_job_id": world.job_of(workers[0]),
    }
    workers[0].end(**payload, **changes)
    world.tick()
    assert fate(world) == (kind, None, blame)
    assert evidence(world).get("checks") == changes.get("checks")
    assert world.rows("attempt")[0]["failure_message"] == "no GPU"


def test_a_program_that_cannot_be_started_blames_its_host_only_paired(
    world: World, workers: list[Worker]
) -> None:
    workers[0].end(cause="NOT_STARTED", exit_code=None, results={}, problems=["no room"])
    world.tick()
    assert fate(world) == ("NODE", None, "PAIRED")


@pytest.mark.parametrize("tail", [None, 7, ["x"]])
def test_a_report_with_odd_last_words_is_judged_without_them(
    world: World, workers: list[Worker], tail: Any
) -> None:
    workers[0].end(exit_code=1, tail=tail)
    world.tick()
    assert fate(world)[0] == "PROGRAM"


# Logs that cannot be read


def test_a_log_that_cannot_be_read_is_said_once_and_stops_nobody(
    world: World, workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LogEnds, "read", lambda self, path: None)
    for worker in workers:
        worker.end(exit_code=1, tail=CUDA if worker.index else "")
    workers[0].world.tick()
    world.ticks(2)
    assert (fate(world, 0)[0], fate(world, 1)[0]) == ("PROGRAM", "OUT_OF_MEMORY")
    assert len(world.noted("logs cannot be read: their file system does not answer")) == 1
    assert status_of(world, 0) == "STAGED"


def test_nobody_waits_for_the_database_while_a_log_is_read(
    world: World, workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []

    def write_meanwhile(self: LogEnds, path: object) -> str:
        with sqlite3.connect(world.run_dir / "database.db", timeout=0) as connection:
            connection.execute("BEGIN IMMEDIATE")
        read.append(path)
        return STEP

    monkeypatch.setattr(LogEnds, "read", write_meanwhile)
    workers[0].fail()
    world.finish_job(workers[1], JobState.FAILED)
    world.look(3)
    assert [fate(world, index)[1] for index in (0, 1)] == ["slurm-memory"] * 2
    assert len(read) == 2


def test_who_was_heard_is_not_given_up_while_logs_are_slow(
    world: World, workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "TURN_SECONDS", 0.0)
    for worker in workers:
        world.finish_job(worker, JobState.CANCELLED)
    world.look()
    for worker in workers:
        worker.fail()
    world.ticks(1, seconds=60)
    assert (fate(world, 0)[0], fate(world, 1)[0]) == ("PROGRAM", None)
    assert world.settler.has_more
    world.tick()
    assert fate(world, 1)[0] == "PROGRAM"
    assert not world.settler.has_more


def test_an_expression_that_takes_too_long_is_left_out_and_said_once(
    make_world: MakeWorld,
) -> None:
    slow = {"name": "slow", "match_regex": ["(a+)+b", "nowhere"], "behavior": "ExcludeNode"}
    world = make_world(rules=[slow, rule("mine", "aaa")])
    for worker in begin(world):
        worker.end(exit_code=1, tail="a" * 60)
    world.tick()
    assert [fate(world, index)[1] for index in (0, 1)] == ["mine", "mine"]
    (told,) = world.noted("a regular expression of a rule takes too long: left out from now on")
    assert (told["rule"], told["expression"]) == ("slow", "(a+)+b")
