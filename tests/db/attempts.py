"""A database with one experiment and a submission of a few attempts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from db.sql.engine import connect, make_engine
from db.sql.tables import Attempt, Experiment, Report, Submission, Trial
from db.states import AttemptState, ExperimentStatus, SubmissionState, TrialStatus

TOKEN = "t0k3n"
NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class Store:
    """What the head would see and do, over an engine of SQLAlchemy."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = make_engine(url, is_short=True)

    def fill(self, attempts: int = 1) -> None:
        """Create the tables, and attempts that wait to be claimed."""
        connect(self.url).dispose()
        with sa.orm.Session(self.engine) as session:
            experiment = Experiment(
                uuid="u",
                name="e",
                run_number=1,
                spec={},
                owner="me@here",
                run_dir="/run",
                status=ExperimentStatus.RUNNING,
                created_at=NOW,
            )
            session.add(experiment)
            session.flush()
            submission = Submission(
                experiment_id=experiment.id,
                token=TOKEN,
                size=attempts,
                resources={},
                state=SubmissionState.ACCEPTED,
                created_at=NOW,
            )
            session.add(submission)
            session.flush()
            for index in range(attempts):
                self._add_attempt(session, experiment.id, submission.id, index)
            session.commit()

    def _add_attempt(
        self, session: sa.orm.Session, experiment: int, submission: int, index: int
    ) -> None:
        trial = Trial(
            experiment_id=experiment,
            index=index + 10,
            parameters={"x": 0.1, "s": "a'b"},
            parameter_hash="h",
            status=TrialStatus.STAGED,
            created_at=NOW,
        )
        session.add(trial)
        session.flush()
        session.add(
            Attempt(
                trial_id=trial.id,
                submission_id=submission,
                array_index=index,
                number=1,
                token=f"a{index}",
                state=AttemptState.SUBMITTED,
                created_at=NOW,
                log_path=f"logs/{index}.log",
            )
        )

    def attempt(self, index: int = 0) -> Attempt:
        """Return one attempt as it stands."""
        with sa.orm.Session(self.engine, expire_on_commit=False) as session:
            return session.scalars(sa.select(Attempt).where(Attempt.array_index == index)).one()

    def change(self, **values: Any) -> None:
        """Change the first attempt as the head would."""
        with self.engine.begin() as connection:
            connection.execute(sa.update(Attempt).where(Attempt.array_index == 0).values(**values))

    def reports(self) -> list[Report]:
        """Return all reports."""
        with sa.orm.Session(self.engine, expire_on_commit=False) as session:
            return list(session.scalars(sa.select(Report).order_by(Report.id)))
