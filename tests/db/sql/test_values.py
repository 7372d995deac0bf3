"""Every database gives back what was stored, to the last digit and letter."""

from __future__ import annotations

import math
import sys

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from db.sql import experiments, incoming
from db.sql.tables import Experiment, Outcome, Trial, table_of
from db.states import ReportKind
from tests.db.sql.kinds import only
from tests.db.sql.samples import Sample, new_experiment

NUMBERS = [0.1 + 0.2, 1e-17, math.pi, -sys.float_info.max, 5e-324, 3.0, 2**53 + 0.0]
TEXTS = ["ünïcode “quotes” \\ ' \" `", "数据 🙂", "100 % :name %(x)s", "a\nb\tc", " padded ", ""]
trial = table_of(Trial)


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_a_number_keeps_all_its_digits(sample: Sample, number: float) -> None:
    outcome = table_of(Outcome)
    row = {"trial_id": sample.trial_ids[0], "objective_id": sample.objective_ids["LOSS"]}
    with sample.store.write() as connection:
        connection.execute(outcome.insert().values(**row, mean=number, source="ATTEMPT"))
        parameters = trial.update().where(trial.c.id == sample.trial_ids[0])
        connection.execute(parameters.values(parameters={"x": number}))
    with sample.store.read() as connection:
        assert repr(connection.execute(sa.select(outcome.c.mean)).scalar_one()) == repr(number)
        point = connection.execute(sa.select(trial.c.parameters).order_by(trial.c.id)).scalars()
        assert repr(next(point)["x"]) == repr(number)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back_as_it_was(sample: Sample, text: str) -> None:
    with sample.store.write() as connection:
        connection.execute(trial.update().values(status_reason=text, parameters={"s": text}))
    with sample.store.read() as connection:
        query = sa.select(trial.c.status_reason, trial.c.parameters)
        assert [tuple(row) for row in connection.execute(query)] == [(text, {"s": text})] * 3


def test_a_text_may_be_as_long_as_a_figure(sample: Sample) -> None:
    long = "é" * 3_000_000
    with sample.store.write() as connection:
        connection.execute(trial.update().values(status_reason=long))
    with sample.store.read() as connection:
        assert set(connection.execute(sa.select(trial.c.status_reason)).scalars()) == {long}


def test_names_that_differ_in_case_or_accents_are_two(sample: Sample) -> None:
    experiment = table_of(Experiment)
    names = ["search", "Search", "sëarch"]
    with sample.store.write() as connection:
        for name in names:
            experiments.insert(connection, new_experiment(name))
        query = sa.select(experiment.c.name).where(experiment.c.name == "Search")
        assert list(connection.execute(query).scalars()) == ["Search"]


@only("postgres", "mysql")
def test_a_word_that_does_not_fit_is_refused_and_not_cut(sample: Sample) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)too long"), sample.engine.begin() as connection:
        connection.execute(trial.update().values(parameter_hash="x" * 65))


def test_a_report_of_an_attempt_that_is_not_there_is_an_error(sample: Sample) -> None:
    report = {"attempt_id": 10**6, "kind": ReportKind.END, "sequence": 0, "payload": {}}
    with (
        pytest.raises(sa.exc.IntegrityError, match=r"(?i)foreign key"),
        sample.engine.begin() as connection,
    ):
        incoming.store(connection, [report])
