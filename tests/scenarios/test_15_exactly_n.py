"""Many workers, many trials, and a head that is killed again and again: exactly N results."""

from __future__ import annotations

import random

import pytest

from tests.main_job.runs import Place
from tests.scenarios.evidence import SEEN, Evidence
from tests.scenarios.heads import killed_at_random

pytestmark = pytest.mark.timeout(1200)  # the full sizes; the small ones take seconds
SEARCH = (
    *("run", "--experiment_name", "exact", "--force_local_execution", "--seed", "1"),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL"),
    *("--run_program", f"{SEEN}; echo RESULT: %(x)"),
)
SIZES = [(40, 8, 2), pytest.param(2000, 64, 10, marks=pytest.mark.slow)]


@pytest.mark.parametrize(("trials", "workers", "kills"), SIZES)
def test_sqlite_holds_exactly_n(laptop: Place, trials: int, workers: int, kills: int) -> None:
    assert_exactly(laptop, None, trials=trials, workers=workers, kills=kills)


@pytest.mark.parametrize(("trials", "workers", "kills"), SIZES)
def test_postgresql_holds_exactly_n(
    laptop: Place, postgres_url: str, trials: int, workers: int, kills: int
) -> None:
    assert_exactly(laptop, postgres_url, trials=trials, workers=workers, kills=kills)


def assert_exactly(place: Place, url: str | None, *, trials: int, workers: int, kills: int) -> None:
    """Run a search whose head is killed so often; its points are those that it would have had."""
    database = () if url is None else ("--db_url", url)
    size = ("--max_eval", str(trials), "--num_parallel_jobs", str(workers))
    chance, words = random.Random(trials), (*SEARCH, *size, *database)
    killed = 0
    for _ in range(kills):
        head = place.start(*words)
        run_dir = place.folder / "runs" / "exact" / "1"
        killed += killed_at_random(head, run_dir, chance, longest=trials / workers / kills / 5)
        words = ("resume", "exact", *database)
    assert killed >= kills // 2
    place.run(*words, seconds=600)
    evidence = Evidence(place, "exact", url)
    evidence.assert_each_once(trials)
    rows = place.results("exact")
    assert [int(row["trial_index"]) for row in rows] == list(range(trials))
    assert len({row["x"] for row in rows}) == trials
    numbers = [row[0] for row in evidence.rows("SELECT number FROM generation ORDER BY number")]
    assert numbers == sorted(set(numbers))
    # Every ask again, with the seed and the state on record: the same points.
    replayed = place.run("db", "replay", "exact", *database, seconds=600)
    assert f"{trials} of {trials} points are equal" in replayed
