"""Whether a trial tries again, where, and with what."""

from __future__ import annotations

from typing import Any

import pytest

from db.sql.attempts import FailedAttempt
from db.states import FailureClass, TrialStatus
from orchestrator.health.patterns import TABLE
from orchestrator.health.retries import BUDGETS, Ceiling, Retries, final_status
from tests.steps.specs import make_spec

P, N, T = FailureClass.PROGRAM, FailureClass.NO_RESULT, FailureClass.TIMEOUT
M, L, X = FailureClass.OUT_OF_MEMORY, FailureClass.LOST, FailureClass.PREEMPTED


def policy(ceiling: Ceiling | None = None, **changes: Any) -> Retries:
    """The policy of a search on a partition that gives at most so much."""
    found = Retries(make_spec(**changes))
    found.ceiling = ceiling or Ceiling()
    return found


def failed(
    kind: FailureClass, host: str | None = None, *, name: str | None = None, **requested: Any
) -> FailedAttempt:
    """An attempt that failed."""
    return FailedAttempt(failure=kind, name=name, host=host, requested=requested)


def sizes(retries: Retries, kind: FailureClass, what: str) -> list[Any]:
    """What each attempt of a trial asks for that fails like this until it is given up."""
    failures: list[FailedAttempt] = []
    asked = []
    while True:
        request = retries.request(failures)
        asked.append(getattr(request, what))
        fields = ("memory_mb", "minutes", "timeout_seconds")
        given = {name: value for name in fields if (value := getattr(request, name)) is not None}
        failures.append(failed(kind, **given))
        if not retries.decide(failures).again:
            return asked


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
    decision = policy(retries=retries).decide([failed(kind) for kind in failures])
    assert decision.again == again
    assert decision.action


def test_every_class_has_a_budget() -> None:
    assert BUDGETS.keys() | {P, N, FailureClass.RULE} == set(FailureClass)


def test_what_was_cancelled_is_abandoned_and_all_else_has_failed() -> None:
    for failure in FailureClass:
        is_cancelled = failure == FailureClass.CANCELLED
        wanted = TrialStatus.ABANDONED if is_cancelled else TrialStatus.FAILED
        assert final_status(failure) == wanted


# Budgets of rules and of texts in logs


def rule(behavior: str, **fields: Any) -> dict[str, Any]:
    return {"name": "odd", "exit_codes": [7], "behavior": behavior, **fields}


@pytest.mark.parametrize(
    ("behavior", "tries", "avoids"),
    [
        ("Restart", 3, False),
        ("RestartOnDifferentNode", 3, True),
        ("ExcludeNodeAndRestartAll", 3, True),
        ("ExcludeNode", 0, True),
    ],
)
def test_a_rule_says_how_often_and_where_a_trial_tries_again(
    behavior: str, tries: int, avoids: bool
) -> None:
    retries = policy(rules=[rule(behavior)], retries=0)
    failures = []
    for number in range(1, tries + 2):
        failures.append(failed(FailureClass.RULE, f"node{number}", name="odd"))
        assert retries.decide(failures).again == (number <= tries)
    assert bool(retries.request(failures).avoid) == avoids


def test_a_rule_may_set_its_own_number_of_restarts_and_each_rule_has_its_own_budget() -> None:
    rules = [rule("Restart", max_restarts=1), rule("Restart") | {"name": "other"}]
    retries = policy(rules=rules)
    first, second = (failed(FailureClass.RULE, name=name) for name in ("odd", "other"))
    assert not retries.decide([first, first]).again
    assert retries.decide([first, first, second]).again
    assert retries.decide([first, second, first, failed(P)]).again


def test_a_rule_that_is_gone_from_the_file_tries_nothing_again() -> None:
    assert not policy().decide([failed(FailureClass.RULE, name="odd")]).again


def test_a_text_that_speaks_of_the_host_is_tried_twice_more_and_slurms_word_ten_times() -> None:
    text = failed(FailureClass.NODE, name="gpu-lost")
    slurm = failed(FailureClass.NODE)
    assert "gpu-lost" in {pattern.name for pattern in TABLE}
    assert policy().decide([text, slurm, text]).again
    assert not policy().decide([text, slurm, text, text]).again
    assert policy().decide([text, *[slurm] * 9]).again
    assert not policy().decide([text, *[slurm] * 10]).again


def test_on_a_laptop_there_is_no_other_host_to_try() -> None:
    retries = policy(Ceiling(hosts=1), executor="local")
    unfit = failed(FailureClass.NODE, "laptop")
    assert retries.decide([unfit]).action == "tried again for the last time"
    assert not retries.decide([unfit, unfit]).again


def test_a_retry_avoids_the_hosts_where_the_trial_failed_but_not_where_it_was_in_the_way() -> None:
    failures = [failed(P, "a"), failed(X, "b"), failed(FailureClass.SUBMIT, "c"), failed(L, "d")]
    assert policy(retries=5).request(failures).avoid == {"a", "d"}
    failures.append(failed(P, "e"))
    for hosts, where in ((4, "again on another host"), (3, "again"), (None, "again")):
        decided = policy(Ceiling(hosts=hosts), retries=5).decide(failures)
        assert decided.action == f"tried {where} (3 more allowed)"


# Memory


def test_memory_grows_by_half_twice() -> None:
    retries = policy(resources={"memory_mb": 1001})
    assert sizes(retries, M, "memory_mb") == [1001, 1502, 2253]


def test_memory_grows_up_to_the_largest_host_and_no_size_is_asked_for_twice() -> None:
    retries = policy(Ceiling(memory_mb=1600), resources={"memory_mb": 1000})
    assert sizes(retries, M, "memory_mb") == [1000, 1500, 1600]
    retries = policy(Ceiling(memory_mb=1000), resources={"memory_mb": 1000})
    assert sizes(retries, M, "memory_mb") == [1000]
    decided = retries.decide([failed(M, memory_mb=1000)])
    assert decided.action == "given up: no host gives more than 1000 MiB"


def test_memory_that_slurm_gave_grows_too() -> None:
    retries = policy(Ceiling(memory_mb=900, hosts=2))
    assert retries.request([]).memory_mb is None
    first = failed(M, "a", memory_mb=500)
    assert retries.request([first]).memory_mb == 750
    decided = retries.decide([first])
    assert decided.action == "tried again with 750 instead of 500 MiB on another host"
    assert retries.request([first, failed(M, memory_mb=750)]).memory_mb == 900


def test_memory_that_nobody_knows_cannot_grow() -> None:
    decided = policy().decide([failed(M)])
    assert not decided.again
    assert "--mem_gb" in decided.action


@pytest.mark.parametrize("memory", [{}, {"memory_mb": 1000}])
def test_a_gpu_that_was_too_full_is_tried_once_more_with_the_same_memory_of_the_host(
    memory: dict[str, int],
) -> None:
    full = failed(M, "a", name="gpu-memory", **memory)
    retries = policy(Ceiling(memory_mb=1000, hosts=2), resources=memory)
    assert retries.request([full]).memory_mb == memory.get("memory_mb")
    decided = retries.decide([full])
    assert decided.again
    assert decided.action == "tried again on another host: the GPU may have been shared"
    decided = retries.decide([full, full])
    assert not decided.again
    assert decided.action == "given up: a GPU cannot be asked for more"


def test_memory_of_the_host_grows_on_after_a_gpu_that_was_too_full() -> None:
    retries = policy(resources={"memory_mb": 1000})
    full = failed(M, name="gpu-memory", memory_mb=1000)
    killed = failed(M, memory_mb=1000)
    assert retries.decide([full, killed]).action == "tried again with 1500 instead of 1000 MiB"
    after = failed(M, name="gpu-memory", memory_mb=1500)
    assert retries.request([killed, after]).memory_mb == 1500
    assert retries.decide([killed, after]).again


def test_what_has_grown_stays_when_the_next_failure_is_of_another_kind() -> None:
    retries = policy(resources={"memory_mb": 1000}, worker_timeout_seconds=60.0)
    grown = failed(M, memory_mb=1000)
    late = failed(T, memory_mb=1500, timeout_seconds=60.0, minutes=3)
    found = retries.request([grown, failed(L, memory_mb=1500), late])
    assert (found.memory_mb, found.timeout_seconds) == (1500, 120)


def test_large_hosts_that_are_gone_take_nothing_back() -> None:
    retries = policy(Ceiling(memory_mb=1200), resources={"memory_mb": 1000})
    failures = [failed(M, memory_mb=1000), failed(M, memory_mb=1500)]
    assert retries.request(failures).memory_mb == 1500
    assert not retries.decide(failures).again


# Time


def test_time_doubles_once_for_the_program_and_for_slurm() -> None:
    spec = {"worker_timeout_seconds": 600.0, "resources": {"minutes": 12}}
    retries = policy(Ceiling(minutes=60), **spec)
    assert sizes(retries, T, "timeout_seconds") == [600, 1200]
    first = failed(T, timeout_seconds=600.0, minutes=12)
    assert retries.request([first]).minutes == make_spec().timing.slurm_minutes(1200)
    assert retries.decide([first]).action == "tried again with 20 min for the program"


def test_time_grows_up_to_the_partitions_limit_and_leaves_the_worker_its_minutes() -> None:
    spec = {"worker_timeout_seconds": 600.0, "resources": {"minutes": 12}}
    first = failed(T, timeout_seconds=600.0, minutes=12)
    found = policy(Ceiling(minutes=15), **spec).request([first])
    assert found.minutes == 15
    assert found.timeout_seconds is not None
    assert 600 < found.timeout_seconds < 14 * 60
    needed = make_spec().timing.slurm_minutes(found.timeout_seconds)
    assert needed is not None
    assert needed <= 15


def test_time_that_cannot_grow_is_not_tried_again() -> None:
    spec = {"worker_timeout_seconds": 600.0, "resources": {"minutes": 12}}
    retries = policy(Ceiling(minutes=12), **spec)
    assert sizes(retries, T, "timeout_seconds") == [600]
    decided = retries.decide([failed(T, timeout_seconds=600.0, minutes=12)])
    assert decided.action == "given up: the partition gives no more time"


def test_without_a_limit_for_the_program_slurms_own_grows() -> None:
    retries = policy(Ceiling(minutes=25), resources={"minutes": 10})
    assert sizes(retries, T, "minutes") == [10, 20]
    assert sizes(policy(Ceiling(minutes=14), resources={"minutes": 10}), T, "minutes") == [10, 14]
    by_default = policy(Ceiling(minutes=30, default_minutes=10))
    assert by_default.request([failed(T)]).minutes == 20
    assert by_default.decide([failed(T)]).action == "tried again with 20 min"
    assert not policy(Ceiling(minutes=10, default_minutes=10)).decide([failed(T)]).again
    assert "--worker_timeout" in policy().decide([failed(T)]).action


def test_on_a_laptop_only_the_programs_limit_grows() -> None:
    retries = policy(executor="local", worker_timeout_seconds=2.0)
    assert sizes(retries, T, "timeout_seconds") == [2, 4]
    assert sizes(retries, T, "minutes") == [None, None]
