"""However many workers want an attempt, one gets it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from db.direct import DirectStore
from db.errors import DatabaseUnavailable
from db.records import Assignment, Claim
from db.sql.tables import Attempt, Report
from db.states import AttemptState, ReportKind
from tests.crowd import together
from tests.db.concurrency.planned import TOKEN, Planned, plan


@pytest.mark.parametrize(
    ("processes", "attempts"), [(32, 500), pytest.param(64, 2000, marks=pytest.mark.slow)]
)
def test_each_attempt_is_claimed_by_one_of_many_processes(
    database: str | None, tmp_path: Path, processes: int, attempts: int
) -> None:
    planned = plan(tmp_path, database=database, count=attempts)

    def member(number: int, wait: Callable[[], object]) -> list[tuple[int, str]]:
        mine = range(number, attempts, processes)
        other = range((number + 1) % processes, attempts, 4 * processes)
        wanted = random.Random(number).sample([*mine, *other], len(mine) + len(other))
        return _claim(planned, number, wanted, wait)

    found = [claim for claims in together(processes, member) for claim in claims]
    assert sorted(index for index, _ in found) == list(range(attempts))
    rows = planned.rows(Attempt)
    assert {row["array_index"]: row["claim"] for row in rows} == dict(found)
    assert {row["state"] for row in rows} == {AttemptState.STARTED}
    starts = [(row["attempt_id"], row["kind"]) for row in planned.rows(Report)]
    assert sorted(starts) == [(row["id"], ReportKind.START) for row in rows]


def _claim(
    planned: Planned, number: int, wanted: list[int], wait: Callable[[], object]
) -> list[tuple[int, str]]:
    """Ask for one share of the attempts, and for some of another's; return what was given."""
    # Held, so that all processes ask at once instead of waiting for their connections.
    store = planned.worker(hold=True)
    wait()
    claimed = []
    for index in wanted:
        nonce = f"{number}-{index}"
        claim: Claim = {
            "claim": nonce,
            "host": "h",
            "slurm_job_id": None,
            "pid": 1,
            "started_at": "",
        }
        if _patiently(store, index, claim) is not None:
            claimed.append((index, nonce))
    return claimed


def _patiently(store: DirectStore, index: int, claim: Claim) -> Assignment | None:
    """Ask until the database is free, as a worker does; the crowd's own patience bounds it."""
    while True:
        with contextlib.suppress(DatabaseUnavailable):
            return store.claim(TOKEN, index, claim)
