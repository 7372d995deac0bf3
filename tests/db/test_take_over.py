"""A requeued job goes on as the next attempt of its trial, through the spool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from db.records import Assignment
from db.restarts import nonce_of
from db.spool import assignments, layout, reports
from tests.health.payloads import end

TOKEN = "t0k3n"
OFFER: Assignment = {
    "attempt_id": 7,
    "attempt_token": "a0",
    "number": 1,
    "trial_index": 3,
    "parameters": {"x": 0.5},
    "log_path": "logs/0.log",
    "checkpoint_dir": "/run/checkpoints/3",
}
STOPPED = end(cause="TERMINATED", exit_code=None, signal=15, results={})


@pytest.fixture
def spool(tmp_path: Path) -> str:
    """A spool in which the first run of a job has claimed its assignment."""
    folder = layout.spool_of(str(tmp_path))
    layout.create(folder)
    assignments.write_assignments(folder, TOKEN, {0: OFFER})
    assert assignments.claim(folder, TOKEN, 0, "n0") == OFFER
    return folder


def take_over(spool: str, restart: int, name: str = "n") -> Assignment | None:
    return assignments.take_over(spool, TOKEN, 0, nonce_of(f"{name}{restart}", restart))


def files(spool: str) -> list[str]:
    return sorted(path.name for path in Path(layout.part(spool, layout.ASSIGNMENTS)).iterdir())


def report_end(spool: str, token: str, payload: Any) -> str:
    return reports.write_report(
        spool,
        {
            "attempt_id": 7,
            "attempt_token": token,
            "kind": "END",
            "sequence": 0,
            "created_at": "2030-01-02T03:04:06.000000+00:00",
            "payload": dict(payload),
        },
    )


def test_each_run_goes_on_with_what_the_one_before_it_had_claimed(spool: str) -> None:
    assert take_over(spool, 1) == {**OFFER, "attempt_token": "a0.1", "number": 2}
    assert take_over(spool, 3) == {**OFFER, "attempt_token": "a0.3", "number": 3}
    assert files(spool) == [f"{TOKEN}_0.json.claimed-n3.3"]


def test_taking_over_again_gives_the_same_answer(spool: str) -> None:
    assert take_over(spool, 1) == take_over(spool, 1)
    assert files(spool) == [f"{TOKEN}_0.json.claimed-n1.1"]


def test_a_run_that_died_before_it_wrote_its_token_is_followed_all_the_same(spool: str) -> None:
    (held,) = Path(layout.part(spool, layout.ASSIGNMENTS)).iterdir()
    held.rename(held.with_name(f"{TOKEN}_0.json.claimed-n1.1"))
    assert take_over(spool, 1) == {**OFFER, "attempt_token": "a0.1", "number": 2}
    assert take_over(spool, 2) == {**OFFER, "attempt_token": "a0.2", "number": 3}


def test_a_slow_worker_of_an_earlier_run_finds_nothing_to_do(spool: str) -> None:
    take_over(spool, 2)
    assert take_over(spool, 1) is None
    assert take_over(spool, 2, "other") is None
    assert files(spool) == [f"{TOKEN}_0.json.claimed-n2.2"]


def test_nothing_is_left_to_do_when_the_head_has_ended_the_attempt(spool: str) -> None:
    assignments.discard(spool, TOKEN, 0, "n0")
    assert take_over(spool, 1) is None
    assert files(spool) == []


@pytest.mark.parametrize("payload", [end(), end(exit_code=1), end(cause="TERMINATED")])
def test_an_attempt_that_may_have_ended_by_itself_is_left_to_the_head(
    spool: str, payload: Any
) -> None:
    report_end(spool, "a0", payload)
    assert take_over(spool, 1) is None
    assert files(spool) == [f"{TOKEN}_0.json.claimed-n0"]


def test_an_attempt_that_was_told_to_stop_goes_on(spool: str) -> None:
    report_end(spool, "a0", STOPPED)
    report_end(spool, "b0", end())
    assert take_over(spool, 1) is not None
    report_end(spool, "a0.1", end())
    assert take_over(spool, 2) is None


def test_a_file_that_only_looks_like_the_end_of_the_attempt_keeps_nobody(spool: str) -> None:
    for text in ("", "[1]", '{"payload": {}}'):
        path = report_end(spool, "a0", end())
        Path(path).write_text(text)
        assert take_over(spool, 1) is not None
