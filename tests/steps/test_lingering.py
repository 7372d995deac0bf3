"""How long the scheduler counts a job whose worker has reported its end, learnt from looks."""

from __future__ import annotations

from orchestrator.steps.lingering import ENOUGH, LONGEST, SHORTEST, Lingering


def end_jobs(lingering: Lingering, *, at: float, number: int = ENOUGH) -> list[str]:
    """Let so many jobs end."""
    jobs = {index: f"7_{index}" for index in range(number)}
    lingering.follow(jobs, at)
    lingering.follow({}, at)
    return list(jobs.values())


def test_a_job_may_be_there_for_a_while_until_a_look_says_that_it_is_gone() -> None:
    lingering = Lingering()
    first, *others = end_jobs(lingering, at=10, number=3)
    assert len(lingering) == 3
    lingering.look([first], 10.2)
    assert len(lingering) == 1
    assert lingering.job_ids == {first}
    lingering.follow({}, 10 + LONGEST)
    assert len(lingering) == 0
    assert others


def test_a_look_from_before_the_end_says_nothing() -> None:
    lingering = Lingering()
    end_jobs(lingering, at=10, number=3)
    lingering.look([], 9.9)
    assert len(lingering) == 3


def test_an_attempt_that_goes_on_in_another_job_has_not_ended() -> None:
    lingering = Lingering()
    end_jobs(lingering, at=10, number=2)
    lingering.follow({0: "9_0"}, 10.1)
    assert lingering.job_ids == {"7_1"}


def test_jobs_that_are_gone_at_once_are_not_counted_for_long() -> None:
    lingering = Lingering()
    end_jobs(lingering, at=10)
    lingering.look([], 10.1)
    end_jobs(lingering, at=20)
    lingering.follow({}, 20 + SHORTEST - 0.1)
    assert len(lingering) == ENOUGH
    lingering.follow({}, 20 + SHORTEST + 0.1)
    assert len(lingering) == 0


def test_the_last_that_was_there_is_waited_for_twice_as_long() -> None:
    lingering = Lingering()
    jobs = end_jobs(lingering, at=10)
    lingering.look(jobs[:1], 10.6)
    lingering.look([], 11.8)
    end_jobs(lingering, at=20)
    lingering.look([], 21.0)
    end_jobs(lingering, at=30)
    lingering.follow({}, 31.1)
    assert len(lingering) == ENOUGH
    lingering.follow({}, 31.3)
    assert len(lingering) == 0


def test_what_was_learnt_is_given_up_where_it_was_wrong() -> None:
    lingering = Lingering()
    end_jobs(lingering, at=10)
    lingering.look([], 10.1)
    lingering.distrust()
    end_jobs(lingering, at=20)
    lingering.follow({}, 20 + LONGEST - 0.1)
    assert len(lingering) == ENOUGH


def test_jobs_that_were_gone_late_do_not_show_that_they_are_gone_soon() -> None:
    lingering = Lingering()
    end_jobs(lingering, at=10)
    lingering.look([], 11.7)
    end_jobs(lingering, at=20)
    lingering.follow({}, 21.6)
    assert len(lingering) == ENOUGH
    lingering.follow({}, 21.8)
    assert len(lingering) == 0


def test_an_attempt_that_never_had_a_job_leaves_none_behind() -> None:
    lingering = Lingering()
    lingering.follow({1: None, 2: "7_0"}, 10)
    lingering.follow({}, 10)
    assert lingering.job_ids == {"7_0"}
    assert len(lingering) == 1
