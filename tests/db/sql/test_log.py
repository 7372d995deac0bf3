"""The event log, versions of a spec and snapshots of a strategy, on every database system."""

from __future__ import annotations

import sqlalchemy as sa

from db.sql import events, experiments, snapshots, trials
from db.sql.reading import replay
from db.sql.tables import SpecVersion, StrategySnapshot, table_of
from db.states import EventKind, SnapshotReason
from tests.db.sql.samples import TRIALS, Sample

ODD = 0.1 + 0.2


def give_outcome(sample: Sample, place: int, mean: float) -> None:
    loss, accuracy = sample.objective_ids["LOSS"], sample.objective_ids["ACC"]
    with sample.store.write() as connection:
        trials.add_outcomes(
            connection,
            sample.trial_ids[place],
            attempt_id=sample.attempt_ids[place],
            means={loss: mean, accuracy: -mean},
            sems={loss: 0.5},
        )


def test_asks_come_back_in_pages_in_their_order(sample: Sample) -> None:
    key = sample.store.experiment_id
    kinds = (EventKind.ASK, EventKind.TELL, EventKind.ASK, EventKind.ASK)
    with sample.store.write() as connection:
        rows = [events.row(key, kind, {"n": n, "x": ODD}) for n, kind in enumerate(kinds)]
        events.append(connection, rows)
        first = replay.events_of(connection, key, (EventKind.ASK,), limit=2)
        rest = replay.events_of(connection, key, (EventKind.ASK,), after=first[-1].id, limit=2)
        other = replay.events_of(connection, key + 1, (EventKind.ASK,))
    assert [event.payload["n"] for event in (*first, *rest)] == [0, 2, 3]
    assert first[0].payload["x"] == ODD
    assert other == []


def test_trials_come_back_with_all_digits_of_their_outcomes(sample: Sample) -> None:
    give_outcome(sample, 1, ODD)
    with sample.store.read() as connection:
        found = replay.trial_records(connection, sample.store.experiment_id, [2, 1, 1, 99])
    assert list(found) == [1, 2]
    assert (found[1].means, found[1].sems) == ({"LOSS": ODD, "ACC": -ODD}, {"LOSS": 0.5})
    assert found[2].means == {}
    assert found[1].point.keys() == {"x"}


def test_a_changed_spec_becomes_a_version_with_its_reason(sample: Sample) -> None:
    key, version = sample.store.experiment_id, table_of(SpecVersion)
    with sample.store.write() as connection:
        assert experiments.last_version(connection, key) == 1
        assert experiments.set_spec(connection, key, {"y": 1}, reason="resume: y") == 2
        columns = (version.c.version, version.c.spec, version.c.reason)
        rows = connection.execute(sa.select(*columns).order_by(version.c.version)).all()
    assert [tuple(row) for row in rows] == [(1, {"x": 0.1}, "setup"), (2, {"y": 1}, "resume: y")]


def test_a_spec_of_before_there_were_versions_becomes_the_first_one(sample: Sample) -> None:
    key, version = sample.store.experiment_id, table_of(SpecVersion)
    with sample.store.write() as connection:
        connection.execute(version.delete())
        assert experiments.set_spec(connection, key, {"y": 1}, reason="resume: y") == 2
        found = connection.execute(sa.select(version.c.spec).order_by(version.c.version)).scalars()
        assert found.all() == [{"x": 0.1}, {"y": 1}]


def test_a_snapshot_says_where_the_strategy_stands(sample: Sample) -> None:
    give_outcome(sample, 0, 5.0)
    give_outcome(sample, 1, ODD)
    key, reason = sample.store.experiment_id, SnapshotReason.HEAD_END
    with sample.store.write() as connection:
        snapshots.keep(connection, key, reason=reason, node=0, generator="SOBOL")
        (document,) = connection.execute(sa.select(table_of(StrategySnapshot).c.document)).scalars()
    assert [node["proposed"] for node in document["nodes"]] == [TRIALS]
    assert document["next_generation"] == 1
    assert document["best"] == [
        {"objective": "LOSS", "trial": 1, "mean": ODD},
        {"objective": "ACC", "trial": 1, "mean": -ODD},
    ]
