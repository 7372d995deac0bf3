"""The short form of `make chaos`: some faults, and nothing is lost and nothing comes twice."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.plan import Kind, make_plan
from tests.chaos.run import Run
from tests.chaos.site import SETTINGS, open_site
from tests.cluster import postgres
from tests.cluster.fixtures import require_programs
from tests.cluster.slurm import required_programs

SEED = 4


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path so short that sockets may lie in it."""
    found = Path(tempfile.mkdtemp(prefix="headway-chaos-", dir="/tmp"))
    found.chmod(0o755)
    yield found
    shutil.rmtree(found, ignore_errors=True)


@pytest.mark.chaos
@pytest.mark.slurm
@pytest.mark.postgres
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("trials", "faults"), [(20, 6), pytest.param(60, 20, marks=pytest.mark.slow)]
)
def test_nothing_is_lost_among_faults(folder: Path, trials: int, faults: int) -> None:
    disturb(folder, trials, faults, with_postgres=True)


@pytest.mark.chaos
@pytest.mark.slurm
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_is_lost_among_twenty_faults_with_files(folder: Path) -> None:
    disturb(folder, 60, 20, with_postgres=False)


def disturb(folder: Path, trials: int, faults: int, *, with_postgres: bool) -> None:
    require_programs("Slurm", required_programs(SETTINGS))
    if with_postgres:
        require_programs("PostgreSQL", postgres.PROGRAMS)
    told: list[str] = []
    with open_site(folder, with_postgres=with_postgres) as site:
        found = Run(site, trials=trials, seed=SEED, faults=faults, say=told.append).run()
    print("\n".join(told))
    assert found == []


def test_a_seed_gives_the_same_plan_again() -> None:
    assert make_plan(7, 60, Kind) == make_plan(7, 60, Kind)
    assert make_plan(7, 60, Kind) != make_plan(8, 60, Kind)


def test_a_plan_has_every_kind_before_it_repeats_one() -> None:
    count = len(Kind)
    plan = make_plan(3, 2 * count, Kind)
    assert {fault.kind for fault in plan[:count]} == set(Kind)
    assert {fault.kind for fault in plan[count:]} == set(Kind)
