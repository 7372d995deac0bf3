"""What a head finds when it takes its lease, and what may have come between."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from db.errors import SchemaMismatch
from db.states import ExperimentStatus
from orchestrator.app.generating import start_generators
from orchestrator.app.heads import make_cluster, run_head
from orchestrator.app.runs import load, set_up
from tests.steps.world import make_spec


def test_a_head_does_not_work_with_tables_that_were_upgraded_while_it_started(
    tmp_path: Path,
) -> None:
    spec = make_spec(executor="local")
    with (
        contextlib.closing(set_up(spec, db_url=None, run_root=tmp_path)) as run,
        contextlib.closing(start_generators(spec)) as generators,
    ):
        with run.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
            connection.exec_driver_sql("UPDATE experiment SET status = 'INTERRUPTED'")
        with pytest.raises(SchemaMismatch, match="newer"):
            run_head(run, make_cluster(spec), generators, note=lambda *_, **__: None)
        stored = load(run.engine, run.db_url, run.stored.id).stored
        assert stored.status == ExperimentStatus.INTERRUPTED
