"""What `headway stop` says where no head is alive, or where nobody can tell."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from db.spool import layout
from db.sql import tables
from db.states import AttemptState, ExperimentStatus, SubmissionState
from orchestrator.cli import asking
from orchestrator.cli.commands import dispatch
from orchestrator.errors import HeadwayError, UsageError
from tests.reports.searches import Search


def test_trials_of_which_nobody_knows_whether_they_were_submitted_are_told(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = tables.table_of(tables.Experiment)
    search.execute(sa.update(experiment).values(status=ExperimentStatus.STOPPED))
    search.execute(sa.delete(tables.table_of(tables.HeadLease)))
    submission = search.insert(
        tables.Submission,
        experiment_id=search.id,
        token="a1b2",
        size=1,
        resources={},
        state=SubmissionState.PREPARED,
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
    search.attempt(1, 7, AttemptState.PLANNED, submission_id=submission, slurm_job_id=None)
    assert dispatch(["stop"]) == 0
    told = capsys.readouterr().out
    assert "1 trials may have been submitted when the head died" in told
    assert "--now` cancels them" in told


def test_a_database_that_is_away_for_a_moment_is_no_reason_to_stop_waiting(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = search.run_dir / "spool" / layout.COMMANDS
    folder.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(asking, "_DOUBT_SECONDS", 0.1)
    answers = iter(["node1"])

    def head_of(place: object) -> str:
        for host in answers:
            return host
        raise UsageError("the database cannot be reached")

    monkeypatch.setattr(asking, "living_head", head_of)
    with pytest.raises(HeadwayError, match="has not taken note within 1 s"):
        dispatch(["stop", "--wait", "1"])
    assert len(list(folder.iterdir())) == 1, "the request stays"
