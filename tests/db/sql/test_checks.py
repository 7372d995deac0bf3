"""Each invariant of the store is broken by hand, and exactly that breach is found and named."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import pytest
import sqlalchemy as sa

from db.sql import checks
from db.sql.checks import CHECKS, Finding
from db.sql.reading.reader import Reader
from db.sql.tables import (
    Artifact,
    Attempt,
    Card,
    CodeFile,
    Event,
    Exclusion,
    Experiment,
    Generation,
    GenerationNode,
    HeadLease,
    Host,
    Metric,
    Objective,
    Outcome,
    Parameter,
    ParameterConstraint,
    Report,
    SpecVersion,
    Submission,
    Trial,
)
from db.states import AttemptState, ExperimentStatus, SubmissionState, TrialStatus
from tests.db.records import START
from tests.db.rich import Rich, make_rich
from tests.db.sql.kinds import only

Break = Callable[["Breaker"], object]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Breaker:
    """Writes what no head would write, into an experiment that shares its database with another.

    Attributes:
        rich: The experiment that gets broken.
        other: The one that stays whole.
    """

    def __init__(self, connection: sa.Connection, rich: Rich, other: Rich) -> None:
        self._connection = connection
        self.rich = rich
        self.other = other

    def found(self, only: Rich | None = None) -> list[Finding]:
        key = None if only is None else only.experiment_id
        return list(checks.find_all(self._connection, key))

    def execute(self, sql: str) -> None:
        self._connection.exec_driver_sql(sql)

    def set(self, model: type[Any], where: Any, **values: Any) -> Self:
        changed = self._connection.execute(sa.update(model).where(where).values(**values))
        assert changed.rowcount > 0
        return self

    def drop(self, model: type[Any], where: Any) -> None:
        assert self._connection.execute(sa.delete(model).where(where)).rowcount > 0

    def put(self, model: type[Any], **values: Any) -> None:
        self._connection.execute(sa.insert(model).values(**values))

    def trial(self, at: int, **values: Any) -> Self:
        return self.set(Trial, Trial.id == self.rich.trial_ids[at], **values)

    def attempt(self, of: int, which: int = 1, **values: Any) -> Self:
        return self.set(Attempt, Attempt.id == self.rich.attempt_ids[of, which], **values)

    def outcome(self, trial: int, objective: int = 0, **values: Any) -> Self:
        where = Outcome.trial_id == self.rich.trial_ids[trial]
        key = self.rich.objective_ids[objective]
        return self.set(Outcome, where & (Outcome.objective_id == key), **values)

    def experiment(self, **values: Any) -> Self:
        return self.set(Experiment, Experiment.id == self.rich.experiment_id, **values)

    def submission(self, **values: Any) -> Self:
        return self.set(Submission, Submission.experiment_id == self.rich.experiment_id, **values)

    def host(self) -> int:
        return int(self._connection.execute(sa.select(Host.id)).scalar_one())

    def mine(self, model: type[Any]) -> Any:
        return model.experiment_id == self.rich.experiment_id


def report(breaker: Breaker, trial: int, kind: str = "END", **values: Any) -> Breaker:
    given = {"consumed_at": None, "created_at": LONG_AGO, "sequence": 7, "payload": {}, **values}
    breaker.put(Report, attempt_id=breaker.rich.attempt_ids[trial, 1], kind=kind, **given)
    return breaker


def reuse(breaker: Breaker, other: int) -> None:
    """Trial 6 says that its outcome is that of another one."""
    breaker.attempt(6, state=AttemptState.SUPERSEDED)
    where = Outcome.trial_id == breaker.rich.trial_ids[6]
    key = breaker.rich.trial_ids[other]
    breaker.set(Outcome, where, source="REUSED", attempt_id=None, reused_trial_id=key)


def finish(breaker: Breaker) -> None:
    breaker.experiment(status=ExperimentStatus.FINISHED)
    breaker.attempt(5, state=AttemptState.CANCELLED, ended_at=START, failure_class="CANCELLED")
    breaker.trial(5, status=TrialStatus.ABANDONED, completed_at=START)


def elsewhere(breaker: Breaker, model: type[Any]) -> None:
    key = breaker.rich.trial_ids[1]
    breaker.set(model, model.trial_id == breaker.rich.trial_ids[0], trial_id=key)


def card(breaker: Breaker) -> None:
    query = sa.select(Card.id).where(Card.experiment_id == breaker.other.experiment_id)
    breaker.set(Card, breaker.mine(Card), parent_id=query.scalar_subquery())


F, L, S = AttemptState.FAILED, AttemptState.LOST, AttemptState.SUCCEEDED
# What is broken, by the check that finds it; the trial that it is about.
BREACHES: list[tuple[str, int | None, Break]] = [
    ("experiment-times", None, lambda b: b.experiment(ended_at=None)),
    ("no-parameter", None, lambda b: b.drop(Parameter, b.mine(Parameter))),
    ("parameter-numbers", None, lambda b: b.drop(Parameter, b.mine(Parameter) & (Parameter.position == 2))),
    ("parameter-constraint-numbers", None, lambda b: b.drop(ParameterConstraint, b.mine(ParameterConstraint) & (ParameterConstraint.position == 0))),
    ("objective-numbers", None, lambda b: b.set(Objective, Objective.id == b.rich.objective_ids[1], position=2)),
    ("spec-version-numbers", None, lambda b: b.drop(SpecVersion, b.mine(SpecVersion) & (SpecVersion.version == 1))),
    ("generation-node-numbers", None, lambda b: b.put(GenerationNode, experiment_id=b.rich.experiment_id, position=3, generator="X", min_observed=0)),
    ("generation-without-step", None, lambda b: b.set(Generation, b.mine(Generation) & (Generation.number == 1), node=7)),
    ("generation-produced", None, lambda b: b.set(Generation, b.mine(Generation) & (Generation.number == 1), produced=4)),
    ("code-file-of-another-experiment", None, lambda b: b.set(CodeFile, b.mine(CodeFile) & (CodeFile.sha256 == ""), attempt_id=b.other.attempt_ids[0, 1])),
    ("card-of-another-experiment", None, card),
    ("trial-numbers", None, lambda b: b.trial(7, index=8)),
    ("attempt-numbers", 3, lambda b: b.attempt(3, 2, number=4)),
    ("trial-times", 3, lambda b: b.trial(3, completed_at=None)),
    ("trial-times", 7, lambda b: b.trial(7, completed_at=START)),
    ("trial-start-times", 5, lambda b: b.trial(5, run_started_at=None)),
    ("trial-without-attempt", 7, lambda b: b.trial(7, status=TrialStatus.STAGED, staged_at=START)),
    ("open-attempt-of-idle-trial", 5, lambda b: b.trial(5, status=TrialStatus.CANDIDATE)),
    ("finished-with-open-trial", 7, finish),
    ("left-behind", 5, lambda b: b.attempt(5, state=L, failure_class="LOST", ended_at=START)),
    ("generation-of-another-experiment", 0, lambda b: b.set(Generation, b.mine(Generation) & (Generation.number == 0), experiment_id=b.other.experiment_id, number=9)),
    ("two-succeeded-attempts", 2, lambda b: b.attempt(2, 1, state=S)),
    ("two-live-attempts", 5, lambda b: b.attempt(4, trial_id=b.rich.trial_ids[5], number=2, state=AttemptState.STARTED, ended_at=None)),
    ("succeeded-without-outcome", 3, lambda b: b.attempt(3, state=S)),
    ("planned-without-submission", 5, lambda b: (b.trial(5, status=TrialStatus.STAGED), b.attempt(5, state=AttemptState.PLANNED))),
    ("submitted-without-job", 5, lambda b: (b.attempt(5, state=AttemptState.SUBMITTED), b.submission(state=SubmissionState.UNCLEAR))),
    ("submission-of-another-experiment", 0, lambda b: b.submission(experiment_id=b.other.experiment_id)),
    ("place-in-submission", 6, lambda b: b.attempt(6, array_index=8)),
    ("submission-size", None, lambda b: b.submission(size=9)),
    ("place-without-first-start", None, lambda b: b.attempt(2, 1, restart=2)),
    ("restart-of-another-trial", 2, lambda b: b.attempt(2, 1, array_index=0, restart=1).attempt(2, 2, restart=0)),
    ("attempt-times", 0, lambda b: b.attempt(0, ended_at=None)),
    ("attempt-times", 5, lambda b: (b.trial(5, status=TrialStatus.STAGED), b.attempt(5, started_at=None))),
    ("failure-without-class", 3, lambda b: b.attempt(3, failure_class=None)),
    ("failure-told-without-class", 0, lambda b: b.attempt(0, failure_action="tried again")),
    ("rule-without-name", 3, lambda b: b.attempt(3, failure_class="RULE", failure_name=None)),
    ("completed-without-outcome", 0, lambda b: b.drop(Outcome, (Outcome.trial_id == b.rich.trial_ids[0]) & (Outcome.objective_id == b.rich.objective_ids[1]))),
    ("outcome-of-another-experiment", 0, lambda b: b.put(Outcome, trial_id=b.rich.trial_ids[0], objective_id=b.other.objective_ids[0], mean=1.0, source="ATTEMPT", attempt_id=b.rich.attempt_ids[0, 1])),
    ("outcome-of-open-trial", 0, lambda b: b.trial(0, status=TrialStatus.FAILED)),
    ("outcome-without-source", 0, lambda b: b.set(Outcome, Outcome.trial_id == b.rich.trial_ids[0], source="IMPORT")),
    ("outcome-of-bad-attempt", 0, lambda b: b.attempt(0, state=L, failure_class="LOST")),
    ("outcome-of-bad-reuse", 6, lambda b: reuse(b, 0)),
    ("accepted-report-not-consumed", 1, lambda b: report(b, 1)),
    ("refused-report-not-consumed", 3, lambda b: report(b, 3, refused_reason="too late")),
    ("reports-wait", None, lambda b: (b.set(HeadLease, b.mine(HeadLease), expires_at=LONG_AGO), report(b, 3))),
    ("started-without-job", 5, lambda b: b.submission(state=SubmissionState.REFUSED)),
    ("metric-of-another-trial", 1, lambda b: elsewhere(b, Metric)),
    ("artifact-of-another-trial", 1, lambda b: elsewhere(b, Artifact)),
    ("event-of-another-experiment", 0, lambda b: b.set(Event, (Event.trial_id == b.rich.trial_ids[0]), experiment_id=b.other.experiment_id)),
    ("foreign-key", None, lambda b: b.drop(Submission, b.mine(Submission))),
]  # fmt: skip
# Of hosts, which belong to no experiment.
SHARED: list[tuple[str, Break]] = [
    ("two-open-exclusions", lambda b: b.put(Exclusion, host_id=b.host(), source="USER", reason="loud", created_at=START)),
    ("exclusion-end", lambda b: b.set(Exclusion, Exclusion.id > 0, end_reason="repaired")),
    ("exclusion-end", lambda b: b.set(Exclusion, Exclusion.id > 0, ended_at=START)),
    ("exclusion-end", lambda b: b.set(Exclusion, Exclusion.id > 0, ended_at=LONG_AGO, end_reason="repaired")),
    ("parole-of-an-excluded-host", lambda b: b.set(Host, Host.id > 0, state="PAROLE")),
]  # fmt: skip
# Broken by tests of their own, since not every database system lets it happen.
ALONE = {
    "outcome-twice",
    "outcomes-of-several-sources",
    "no-objective",
    "outcome-not-finite",
    "metric-not-finite",
    "parameter-not-finite",
    "parameter-constraint-not-finite",
    "generation-not-finite",
}


@pytest.fixture
def pair(engine: sa.Engine) -> tuple[Rich, Rich]:
    """Two experiments in one database."""
    return make_rich(engine), make_rich(engine, run=2, objectives=1)


def found(engine: sa.Engine, experiment_id: int | None = None) -> list[Finding]:
    """What a check of the database finds."""
    with Reader(engine).read() as connection:
        return list(checks.find_all(connection, experiment_id))


@contextmanager
def breaking(pair: tuple[Rich, Rich]) -> Iterator[Breaker]:
    """A transaction in which foreign keys hold nobody back; what was broken is whole at the end."""
    with pair[0].engine.connect() as connection:
        system = connection.dialect.name
        if system == "sqlite":
            connection.connection.driver_connection.execute("PRAGMA foreign_keys = OFF")  # type: ignore[union-attr]
        elif system == "postgresql":
            # Switching triggers off takes a superuser; the owner may do without the constraint.
            drop = "ALTER TABLE attempt DROP CONSTRAINT fk_attempt_submission_id"
            connection.exec_driver_sql(drop)
        else:
            connection.exec_driver_sql("SET foreign_key_checks = 0")
        yield Breaker(connection, *pair)
        connection.rollback()
        connection.invalidate()


def test_a_whole_database_has_no_breach(engine: sa.Engine, pair: tuple[Rich, Rich]) -> None:
    assert found(engine) == []


def test_an_empty_database_has_no_breach(engine: sa.Engine) -> None:
    assert found(engine) == []


def wrongly_found(pair: tuple[Rich, Rich], name: str, trial: int | None, break_it: Break) -> str:
    """Break something and say what the check makes of it, if that is not what it should."""
    with breaking(pair) as breaker:
        break_it(breaker)
        findings, mine, others = breaker.found(), None, None
        # One experiment is chosen by the same condition everywhere.
        if pair[0].engine.dialect.name == "sqlite":
            mine, others = breaker.found(breaker.rich), breaker.found(breaker.other)
    is_warning = name in {"reports-wait", "started-without-job"}
    is_right = (
        {finding.check for finding in findings} == {name}
        and trial in {finding.trial for finding in findings}
        and all(finding.is_warning == is_warning for finding in findings)
        and mine in (findings, None)
        and not others
    )
    return "" if is_right else f"{name}: {findings}"


def test_each_breach_is_found_and_named(pair: tuple[Rich, Rich]) -> None:
    wrong = [wrongly_found(pair, *breach) for breach in BREACHES]
    assert [text for text in wrong if text] == []
    assert found(pair[0].engine) == []


def test_breaches_of_hosts_are_found_where_all_is_checked(pair: tuple[Rich, Rich]) -> None:
    for name, break_it in SHARED:
        with breaking(pair) as breaker:
            break_it(breaker)
            (finding,) = breaker.found()
            assert (finding.check, finding.experiment, finding.is_warning) == (name, None, False)
            assert "host node2" in finding.message
            assert breaker.found(breaker.rich) == []


def test_every_check_is_broken_by_a_test() -> None:
    broken = {name for name, _, _ in BREACHES} | {name for name, _ in SHARED}
    assert {check.name for check in CHECKS} == (broken | ALONE) - {"foreign-key"}


def test_outcomes_of_one_trial_come_from_one_source(pair: tuple[Rich, Rich]) -> None:
    with breaking(pair) as breaker:
        breaker.outcome(0, 1, source="IMPORT", attempt_id=None)
        assert [f.check for f in breaker.found()] == ["outcomes-of-several-sources"]


def test_an_experiment_without_objective_is_found(pair: tuple[Rich, Rich]) -> None:
    with breaking(pair) as breaker:
        breaker.drop(Outcome, Outcome.objective_id.in_(breaker.rich.objective_ids))
        breaker.drop(Objective, breaker.mine(Objective))
        names = {finding.check for finding in breaker.found()}
    assert names == {"no-objective", "succeeded-without-outcome"}


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_no_number_is_infinite(pair: tuple[Rich, Rich], kind: str, value: float) -> None:
    if kind == "mysql" or (kind == "sqlite" and math.isnan(value)):
        # They cannot hold it: SQLite keeps NaN as NULL, which the column refuses.
        with pytest.raises((sa.exc.DBAPIError, ValueError)), breaking(pair) as breaker:
            breaker.outcome(0, mean=value)
        return
    with breaking(pair) as breaker:
        breaker.outcome(0, mean=value)
        breaker.set(Metric, Metric.step == 1, value=value)
        breaker.set(Parameter, breaker.mine(Parameter) & (Parameter.name == "x"), upper=value)
        breaker.set(ParameterConstraint, ParameterConstraint.position == 0, bound=value)
        breaker.set(Generation, breaker.mine(Generation) & (Generation.number == 0), gen_time=value)
        names = {finding.check for finding in breaker.found()}
    assert names == {name for name in ALONE if name.endswith("not-finite")}


@only("postgres")  # only there a constraint can go without its table
def test_two_outcomes_of_one_objective_are_found(pair: tuple[Rich, Rich]) -> None:
    with breaking(pair) as breaker:
        breaker.execute("ALTER TABLE outcome DROP CONSTRAINT uq_outcome_trial_id_objective_id")
        key, trial = breaker.rich.objective_ids[0], breaker.rich.trial_ids[0]
        attempt = breaker.rich.attempt_ids[0, 1]
        breaker.put(
            Outcome, trial_id=trial, objective_id=key, mean=1, source="ATTEMPT", attempt_id=attempt
        )
        assert [f.check for f in breaker.found()] == ["outcome-twice"]


def test_reports_do_not_wait_while_a_head_is_alive(pair: tuple[Rich, Rich]) -> None:
    later = datetime.now(UTC) + timedelta(seconds=30)
    with breaking(pair) as breaker:
        report(breaker, 3)
        breaker.set(HeadLease, breaker.mine(HeadLease), expires_at=later)
        assert breaker.found() == []


def test_a_fresh_report_does_not_wait(pair: tuple[Rich, Rich]) -> None:
    with breaking(pair) as breaker:
        breaker.set(HeadLease, breaker.mine(HeadLease), expires_at=LONG_AGO)
        report(breaker, 3, created_at=datetime.now(UTC))
        assert breaker.found() == []


def test_a_head_that_was_killed_leaves_no_breach(pair: tuple[Rich, Rich]) -> None:
    """A trial that waits for its next try is RUNNING until the head has ended properly."""
    with breaking(pair) as breaker:
        breaker.experiment(status=ExperimentStatus.RUNNING, ended_at=None)
        breaker.attempt(5, state=L, failure_class="LOST", ended_at=START)
        assert breaker.found() == []


@only("sqlite")  # servers check the words, and nobody can switch that off for a row
def test_words_that_mean_nothing_are_found_in_a_file(pair: tuple[Rich, Rich]) -> None:
    with breaking(pair) as breaker:
        breaker.execute("PRAGMA ignore_check_constraints = ON")
        breaker.execute("UPDATE trial SET status = 6 WHERE id = 1")
        breaker.execute("UPDATE attempt SET state = 'GREAT' WHERE id = 4")
        breaker.execute("PRAGMA ignore_check_constraints = OFF")
        findings = breaker.found()
    assert [f.check for f in findings[:2]] == ["file", "file"]
    assert "CHECK" in findings[0].message


def test_many_breaches_of_a_kind_are_cut_short(
    pair: tuple[Rich, Rich], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.sql.checks.base.MOST", 2)
    with breaking(pair) as breaker:
        breaker.set(Trial, Trial.status == TrialStatus.COMPLETED, completed_at=None)
        findings = breaker.found()
    assert [finding.trial is None for finding in findings] == [False, False, True]
    assert "more of this kind" in findings[-1].message


@only("sqlite")
def test_many_rows_without_their_owner_are_cut_short(
    pair: tuple[Rich, Rich], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.sql.checks.integrity.MOST", 2)
    with breaking(pair) as breaker:
        breaker.set(Event, Event.id > 0, trial_id=999)
        findings = [f for f in breaker.found() if f.check == "foreign-key"]
    assert [f.message.startswith("row ") for f in findings] == [True, True, False]
    assert "more of this kind" in findings[-1].message
