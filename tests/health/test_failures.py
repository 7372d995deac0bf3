"""Why an attempt gave no result, and whether its trial may try again."""

from __future__ import annotations

from signal import SIGKILL, SIGSEGV, SIGTERM
from typing import Any

import pytest

from db.states import ENDED_JOBS, FailureClass, JobState, TrialStatus
from orchestrator.health.failures import judge_job, judge_report, signal_name
from orchestrator.health.retries import BUDGETS, final_status, may_retry
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


@pytest.mark.parametrize(
    ("failures", "retries", "again"),
    [
        ([P], 1, True),
        ([P, P], 1, False),
        ([P, N], 1, False),
        ([N, P], 2, True),
        ([P], 0, False),
        ([L, L, P], 1, True),
        ([P, L], 0, True),
        ([T], 5, False),
        ([M], 5, False),
        ([X] * 99, 0, True),
        ([L] * 5, 0, True),
        ([L] * 6, 0, False),
        ([FailureClass.NODE] * 10, 0, True),
        ([FailureClass.NODE] * 11, 0, False),
        ([FailureClass.NO_DATABASE] * 6, 0, False),
        ([FailureClass.CANCELLED], 9, False),
    ],
)
def test_each_class_has_its_budget(failures: list[FailureClass], retries: int, again: bool) -> None:
    assert may_retry(failures, program_retries=retries) == again


def test_every_class_has_a_budget() -> None:
    assert BUDGETS.keys() | {P, N} == set(FailureClass)


def test_what_was_cancelled_is_abandoned_and_all_else_has_failed() -> None:
    for failure in FailureClass:
        is_cancelled = failure == FailureClass.CANCELLED
        wanted = TrialStatus.ABANDONED if is_cancelled else TrialStatus.FAILED
        assert final_status(failure) == wanted


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
