"""Versions of the files that a program names, on every database system."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from db.records import CodeVersion
from db.sql import code_files
from db.sql.reading import code, detail
from db.sql.tables import Report
from db.states import ReportKind
from tests.db.records import START
from tests.db.rich import Rich, make_rich

SCRIPT, SETTINGS = "/work/b's train.py", "/work/größe.json"


@pytest.fixture
def rich(engine: sa.Engine) -> Rich:
    """An experiment beside another one that names the same files."""
    make_rich(engine, run=2)
    return make_rich(engine)


def test_the_versions_of_each_file_are_known_and_only_the_experiments_own(rich: Rich) -> None:
    with rich.engine.begin() as connection:
        new: dict[str, CodeVersion] = {SETTINGS: {"sha256": "d" * 64, "bytes": 2**40}}
        code_files.add(connection, rich.experiment_id, new, attempt_id=rich.attempt_ids[0, 1])
        code_files.add(connection, rich.experiment_id, {})
        assert code_files.versions(connection, rich.experiment_id) == {
            SCRIPT: {"a" * 64, "c" * 64, ""},
            SETTINGS: {"b" * 64, "d" * 64},
        }
        assert code_files.versions(connection, 4711) == {}
        last = code.files(connection, rich.experiment_id)[-1]
    assert (last.path, last.sha256, last.bytes, last.trial) == (SETTINGS, "d" * 64, 2**40, 0)


def test_a_version_of_a_file_is_there_once(rich: Rich) -> None:
    again: dict[str, CodeVersion] = {SCRIPT: {"sha256": "a" * 64, "bytes": 1}}
    with pytest.raises(sa.exc.IntegrityError), rich.engine.begin() as connection:
        code_files.add(connection, rich.experiment_id, again)


def test_the_versions_of_a_file_come_in_the_order_in_which_they_were_met(rich: Rich) -> None:
    with rich.engine.connect() as connection:
        found = code.files(connection, rich.experiment_id)
    assert [(each.path, each.sha256[:1], each.trial) for each in found] == [
        (SCRIPT, "a", None),
        (SCRIPT, "c", 2),
        (SCRIPT, "", 2),
        (SETTINGS, "b", None),
    ]


def test_a_trial_tells_of_the_files_that_had_changed_when_it_began(rich: Rich) -> None:
    payload = {"code": {SCRIPT: {"sha256": "c" * 64, "bytes": 5}}}
    start = {"kind": ReportKind.START, "created_at": START, "consumed_at": START}
    with rich.engine.begin() as connection:
        for number, more in ((1, {"payload": {}}), (2, {"payload": payload})):
            key = rich.attempt_ids[2, number]
            row = {"attempt_id": key, "sequence": 0, **start, **more}
            connection.execute(sa.insert(Report).values(**row))
        # What the head refused may say anything.
        refused = {"attempt_id": key, "sequence": 1, "refused_reason": "no", **start}
        connection.execute(sa.insert(Report).values(**refused, payload={"code": {"x": 1}}))
        found = detail.find(connection, rich.experiment_id, 2)
    assert found is not None
    assert [vars(each) for each in found.code] == [
        {"attempt": 2, "path": SCRIPT, "sha256": "c" * 64, "bytes": 5}
    ]
