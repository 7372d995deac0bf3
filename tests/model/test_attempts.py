"""No order of what head, workers, Slurm and a person do accepts two results or loses one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from db.sql.engine import connect, sqlite_url
from tests.model.machine import AttemptMachine, SpoolMachine

MACHINES = [AttemptMachine, SpoolMachine]
SHORT, LONG = 16, 1500
# Making a failing example small takes minutes: the long form does it.
STEPS = 20


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the newest schema, to be copied for each example."""
    path = tmp_path_factory.mktemp("model") / "database.db"
    connect(sqlite_url(path)).dispose()
    return path


def explore(
    machine: type[AttemptMachine], template: Path, *, examples: int, phases: Sequence[Phase]
) -> None:
    found = type(machine.__name__, (machine,), {"template": template})
    chosen = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=True,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(found, settings=chosen)


@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_is_lost_and_nothing_comes_twice(
    machine: type[AttemptMachine], template: Path
) -> None:
    explore(machine, template, examples=SHORT, phases=[Phase.generate])


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("machine", MACHINES)
def test_nothing_is_lost_however_long_one_tries(
    machine: type[AttemptMachine], template: Path
) -> None:
    explore(machine, template, examples=LONG, phases=[Phase.generate, Phase.shrink])
