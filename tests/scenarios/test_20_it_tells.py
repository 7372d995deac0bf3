"""It tells: viewers of a hundred thousand trials ask Slurm nothing and delay no writer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from db.states import ExperimentStatus, TrialStatus
from tests.main_job.runs import Place, Started
from tests.reports.searches import Search, fill
from tests.scenarios.many import complete_many
from tests.scenarios.wrappers import Wrappers

TRIALS = 100_000
WRITES = 100
SLURM = ("sbatch", "squeue", "sacct", "scontrol", "scancel", "sinfo", "sdiag", "sacctmgr")
# A writer that would have to wait for anybody fails.
NEVER_WAIT = {
    "sqlite": "PRAGMA busy_timeout = 0",
    "postgresql": "SET LOCAL lock_timeout = '1ms'",
}


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.slow]),
    ]
)
def many(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Search]:
    """A search of a hundred thousand completed trials, with a head that lives."""
    made = search_in(tmp_path, request, request.param)
    complete_many(made, TRIALS)
    made.lease(3600)
    yield made
    made.engine.dispose()


def search_in(folder: Path, request: pytest.FixtureRequest, system: str) -> Search:
    run_dir = folder / "runs" / "demo" / "1"
    run_dir.mkdir(parents=True)
    is_file = system == "sqlite"
    url = f"sqlite:///{run_dir}/database.db" if is_file else request.getfixturevalue("postgres_url")
    made = Search(url=url, run_dir=run_dir, max_eval=TRIALS + 1)
    made.write_documents()
    return made


def read_line(viewer: Started) -> str:
    assert viewer.process.stdout is not None
    return viewer.process.stdout.readline()


def write_without_waiting(search: Search) -> None:
    """Write as a head does; it fails at the first lock that it meets."""
    never_wait = NEVER_WAIT[search.engine.dialect.name]
    for number in range(WRITES):
        with search.engine.begin() as connection:
            connection.exec_driver_sql(never_wait)
            text = f"UPDATE experiment SET description = '{number}'"
            connection.exec_driver_sql(text)
            connection.exec_driver_sql(f"UPDATE head_lease SET epoch = {number + 1}")


@pytest.mark.parametrize("viewers", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_viewers_of_many_trials_ask_slurm_nothing_and_delay_no_writer(
    many: Search, tmp_path: Path, wrappers: Wrappers, viewers: int
) -> None:
    for command in SLURM:
        wrappers.put(command, "exit 1")
    with Place(tmp_path, wrappers.environment()) as place:
        started = [place.start("follow", "demo") for _ in range(viewers)]
        begun = f"{TRIALS}/{TRIALS + 1} done, 0 running, best RESULT=1.00001 (trial {TRIALS - 1})"
        assert {read_line(viewer).strip() for viewer in started} == {begun}
        write_without_waiting(many)
        many.trial(TRIALS, TrialStatus.COMPLETED, 0.5)
        write_without_waiting(many)
        assert all(f"best RESULT=0.5 (trial {TRIALS})" in read_line(each) for each in started)
        many.end(ExperimentStatus.FINISHED)
        ends = [viewer.wait() for viewer in started]
    assert all(code == 0 and "FINISHED" in output for code, output in ends)
    assert not wrappers.calls()


@pytest.mark.postgres
def test_a_ticket_is_one_screen_and_has_no_password(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    search = search_in(tmp_path, request, "postgresql")
    fill(search)
    with Place(tmp_path) as place:
        ticket = place.run("why", "demo", "4", "--ticket")
    search.engine.dispose()
    lines = ticket.splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 160
    assert "exit code 1" in ticket
    assert "secret" not in ticket
