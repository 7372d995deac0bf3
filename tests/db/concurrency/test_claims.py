"""However many workers want an attempt, one gets it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

from db.direct import DirectStore
from db.errors import DatabaseUnavailable
from db.records import Assignment, Claim
from db.sql.tables import Attempt, Report
from db.states import AttemptState, ReportKind
from tests.crowd import together
from tests.db.concurrency.planned import TOKEN, Planned, plan

PROCESSES, ATTEMPTS = 64, 2_000


def test_each_of_2000_attempts_is_claimed_by_one_of_64_processes(
    database: str | None, tmp_path: Path
) -> None:
    planned = plan(tmp_path, database=database, count=ATTEMPTS)

    def member(number: int, wait: Callable[[], object]) -> list[tuple[int, str]]:
        return _claim(planned, number, wait)

    found = [claim for claims in together(PROCESSES, member) for claim in claims]
    assert sorted(index for index, _ in found) == list(range(ATTEMPTS))
    rows = planned.rows(Attempt)
    assert {row["array_index"]: row["claim"] for row in rows} == dict(found)
    assert {row["state"] for row in rows} == {AttemptState.STARTED}
    starts = [(row["attempt_id"], row["kind"]) for row in planned.rows(Report)]
    assert sorted(starts) == [(row["id"], ReportKind.START) for row in rows]


def _claim(planned: Planned, number: int, wait: Callable[[], object]) -> list[tuple[int, str]]:
    """Ask for one share of the attempts, and for some of another's; return what was given."""
    # Held, so that 64 processes ask at once instead of waiting for their connections.
    store = planned.worker(hold=True)
    mine = range(number, ATTEMPTS, PROCESSES)
    other = range((number + 1) % PROCESSES, ATTEMPTS, 4 * PROCESSES)
    wanted = random.Random(number).sample([*mine, *other], len(mine) + len(other))
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
