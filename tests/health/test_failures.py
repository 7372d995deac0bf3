"""Why an attempt gave no result, and whether its trial may try again."""

from __future__ import annotations

from signal import SIGKILL, SIGSEGV, SIGTERM
from typing import Any

import pytest

from db.states import ENDED_JOBS, FailureClass, JobState
from orchestrator.health.failures import (
    Blame,
    Failure,
    explained,
    judge_job,
    judge_report,
    signal_name,
    was_killed,
)
from orchestrator.health.patterns import find_named
from tests.health.payloads import GIB, end

P, N, T = FailureClass.PROGRAM, FailureClass.NO_RESULT, FailureClass.TIMEOUT
M, L, X = FailureClass.OUT_OF_MEMORY, FailureClass.LOST, FailureClass.PREEMPTED


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"exit_code": 1}, P, "ended with exit code 1"),
        ({"exit_code": 255}, P, "exit code 255"),
        ({"results": {"LOSS": 1.0}}, N, "no result for ACC: no line 'ACC: NUMBER' in its output"),
        ({"results": {}}, N, "no result for LOSS, ACC"),
        (
            {"results": {"LOSS": 1.0}, "problems": ["ACC: nan is not a finite number"]},
            N,
            "no result for ACC: ACC: nan is not a finite number",
        ),
        ({"cause": "TIMEOUT", "exit_code": None, "signal": SIGTERM}, T, "after 61 s"),
        ({"cause": "TIMEOUT"}, T, "limit for one trial"),
        ({"exit_code": None, "signal": SIGSEGV}, P, "ended by SIGSEGV"),
        ({"exit_code": None, "signal": 200}, P, "ended by signal 200"),
        ({"exit_code": None, "signal": SIGKILL}, M, "killed at 1.00 GiB, its memory limit"),
        ({"exit_code": None, "signal": SIGTERM}, P, "ended by SIGTERM"),
        (
            {"cause": "NOT_STARTED", "problems": ["no answer"], "submission_token": "t"},
            FailureClass.NO_DATABASE,
            "no answer",
        ),
        (
            {"cause": "NOT_STARTED", "results": {}, "submission_token": "t"},
            FailureClass.NO_DATABASE,
            "could not claim its attempt",
        ),
        (
            {"cause": "NOT_STARTED", "results": {}, "problems": ["no folder /data"]},
            FailureClass.NODE,
            "no folder /data",
        ),
        (
            {"cause": "NOT_STARTED", "problems": ["Python 3.9"], "submission_token": "t"}
            | {"is_unfit": True},
            FailureClass.NODE,
            "Python 3.9",
        ),
        ({"cause": "TERMINATED", "exit_code": 143}, P, "exit code 143"),
    ],
)
def test_a_bad_end_has_a_class_and_a_sentence(
    changes: dict[str, Any], kind: FailureClass, text: str
) -> None:
    failure = judge_report(end(**changes), objectives=["LOSS", "ACC"], memory_bytes=GIB)
    assert failure is not None
    assert failure.kind == kind
    assert text in failure.message
    assert "\n" not in failure.message


@pytest.mark.parametrize("changes", [{}, {"problems": ["odd"]}, {"cause": "TERMINATED"}])
def test_all_results_and_exit_code_0_are_a_success(changes: dict[str, Any]) -> None:
    assert judge_report(end(**changes), objectives=["LOSS", "ACC"], memory_bytes=None) is None


def test_results_do_not_excuse_another_exit_code() -> None:
    failure = judge_report(end(exit_code=3), objectives=["LOSS"], memory_bytes=None)
    assert failure is not None


@pytest.mark.parametrize(
    ("peak", "limit", "kind"),
    [
        (GIB, None, P),
        (GIB, 2 * GIB, P),
        (int(0.91 * GIB), GIB, M),
        (int(0.89 * GIB), GIB, P),
        (2 * GIB, GIB, M),
    ],
)
def test_a_kill_is_one_for_memory_only_near_the_limit(
    peak: int, limit: int | None, kind: FailureClass
) -> None:
    measured = {**end()["measured"], "peak_memory_bytes": peak}
    killed = end(exit_code=None, signal=SIGKILL, measured=measured)
    failure = judge_report(killed, objectives=["LOSS"], memory_bytes=limit)
    assert failure is not None
    assert failure.kind == kind


@pytest.mark.parametrize(
    ("state", "claimed", "told", "kind"),
    [
        (JobState.NODE_FAIL, True, False, FailureClass.NODE),
        (JobState.NODE_FAIL, False, False, FailureClass.NODE),
        (JobState.TIMEOUT, True, True, T),
        (JobState.OUT_OF_MEMORY, True, False, M),
        (JobState.PREEMPTED, True, True, X),
        (JobState.CANCELLED, False, False, FailureClass.CANCELLED),
        (JobState.FAILED, False, False, FailureClass.NODE),
        (JobState.FAILED, True, False, L),
        (JobState.FAILED, True, True, L),
        (JobState.COMPLETED, True, False, L),
        (JobState.COMPLETED, False, False, L),
        (JobState.COMPLETED, True, True, L),
        (JobState.GONE, True, False, L),
        (JobState.GONE, False, False, L),
        (JobState.GONE, True, True, L),
    ],
)
def test_a_job_that_ended_without_a_result_has_a_class(
    state: JobState, claimed: bool, told: bool, kind: FailureClass
) -> None:
    failure = judge_job(state, "", was_claimed=claimed, was_told=told)
    assert failure.kind == kind
    assert failure.message


def test_every_end_of_a_job_is_judged() -> None:
    for state in ENDED_JOBS:
        assert judge_job(state, "", was_claimed=True, was_told=False).message


def test_the_word_of_the_scheduler_is_shown() -> None:
    word = "CANCELLED by 1000"
    failure = judge_job(JobState.CANCELLED, word, was_claimed=True, was_told=False)
    assert failure.message == "its job was cancelled (CANCELLED by 1000)"


def test_a_signal_has_a_name() -> None:
    assert signal_name(9) == "SIGKILL"
    assert signal_name(250) == "signal 250"


@pytest.mark.parametrize(
    ("state", "kind"),
    [(JobState.COMPLETED, T), (JobState.TIMEOUT, T), (JobState.PREEMPTED, X)],
)
def test_a_job_that_slurm_has_warned_was_too_slow_unless_it_had_to_make_room(
    state: JobState, kind: FailureClass
) -> None:
    failure = judge_job(state, "", was_claimed=True, was_told=True, was_warned=True)
    assert failure.kind == kind


@pytest.mark.parametrize(
    ("tail", "quoted"),
    [
        ("Traceback\nValueError: no\n", ": ValueError: no"),
        ("ValueError: no\n=====\n\n 100% |##|\r\n", ": ValueError: no"),
        ("\x1b[31mred\x1b[0m", ": red"),
        ("a" * 500, f": {'a' * 120}"),
        ("", ""),
        ("== 12 ==", ""),
    ],
)
def test_the_last_words_of_a_program_are_part_of_what_is_said(tail: str, quoted: str) -> None:
    failure = judge_report(end(exit_code=2, tail=tail), objectives=["LOSS"], memory_bytes=None)
    assert failure is not None
    assert failure.message == f"the program ended with exit code 2{quoted}"


@pytest.mark.parametrize(
    ("changes", "was"),
    [
        ({"exit_code": None, "signal": SIGKILL}, True),
        ({"exit_code": 137}, True),
        ({"results": {}, "tail": "line 1: 12 Killed   ./a\n"}, True),
        ({"exit_code": 143}, False),
        ({"exit_code": 1, "tail": "srun: error: node1: task 0: Killed\nbye\n"}, True),
        ({"exit_code": 1, "tail": "skilled"}, False),
        ({"exit_code": 1, "tail": "Killed 3 workers that were idle\n"}, False),
        ({}, False),
    ],
)
def test_a_kill_is_seen_also_where_a_shell_lived_on(changes: dict[str, Any], was: bool) -> None:
    assert was_killed(end(**changes)) == was


def test_a_part_of_a_program_that_was_killed_near_the_limit_was_killed_for_memory() -> None:
    hidden = end(results={}, tail="line 1: 12 Killed   ./a\ngoing on\n")
    unknown = judge_report(hidden, objectives=["LOSS"], memory_bytes=None)
    assert unknown is not None
    assert unknown.message.endswith("in its output (a part of it was killed)")
    failure = judge_report(hidden, objectives=["LOSS"], memory_bytes=GIB)
    assert failure is not None
    assert failure.kind == M
    assert failure.evidence == {"peak_memory_bytes": GIB, "memory_limit_bytes": GIB}


def test_the_blame_of_each_class_is_that_of_the_design() -> None:
    wanted = {
        **dict.fromkeys(FailureClass, Blame.NONE),
        **dict.fromkeys((P, N, FailureClass.NO_DATABASE), Blame.PAIRED),
        **dict.fromkeys((T, M, L), Blame.WEAK),
        FailureClass.NODE: Blame.STRONG,
    }
    for kind, blame in wanted.items():
        stored = Failure(kind=kind, message="m", evidence={"a": 1}).stored_evidence
        assert stored == {"blame": blame.value, "a": 1}


def test_what_a_worker_says_of_its_own_failure_is_kept() -> None:
    problems = ["the worker failed: OSError: [Errno 5]", *"abcd"]
    failed = end(exit_code=None, signal=SIGKILL, problems=problems)
    failure = judge_report(failed, objectives=["LOSS"], memory_bytes=None)
    assert failure is not None
    assert failure.evidence["problems"] == problems[:3]


@pytest.mark.parametrize(
    ("name", "kind", "blame", "points"),
    [
        ("gpu-memory", M, Blame.WEAK, False),
        ("gpu-ecc", FailureClass.NODE, Blame.PAIRED, True),
        ("disk-full", P, Blame.PAIRED, True),
        ("missing-module", P, Blame.PAIRED, False),
    ],
)
def test_a_text_is_never_strong_but_may_point_to_the_host(
    name: str, kind: FailureClass, blame: Blame, points: bool
) -> None:
    pattern = find_named(name)
    assert pattern is not None
    plain = judge_report(end(exit_code=1), objectives=["LOSS"], memory_bytes=None)
    assert plain is not None
    assert not plain.points_to_host
    failure = explained(plain, pattern, "the line")
    assert (failure.kind, failure.blame, failure.points_to_host) == (kind, blame, points)
    assert failure.message == f"{pattern.says} (exit code 1): the line"
    again = Failure(kind=kind, message="", evidence=failure.stored_evidence)
    assert again.points_to_host == points, "as a head reads it that takes over"
