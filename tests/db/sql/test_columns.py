"""Times keep their meaning on every database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import StatementError

from db.sql.columns import Code, UtcDateTime
from db.sql.tables import Attempt, table_of
from db.states import TrialStatus
from tests.db.sql.kinds import only
from tests.db.sql.samples import Sample

MOMENTS = [
    datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
    datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2030, 10, 27, 2, 30, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45))),
]
table = table_of(Attempt)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_time_comes_back_to_the_microsecond_and_in_utc(sample: Sample, moment: datetime) -> None:
    with sample.store.write() as connection:
        connection.execute(table.update().values(heartbeat_at=moment))
    back = sample.attempt()["heartbeat_at"]
    assert back == moment
    assert back.utcoffset() == timedelta(0)
    with sample.store.read() as connection:
        query = sa.select(sa.func.count()).where(table.c.heartbeat_at == moment)
        assert connection.execute(query).scalar() == 3


@only("postgres", "mysql")
def test_the_zone_of_the_session_changes_nothing(sample: Sample) -> None:
    is_postgres = sample.engine.dialect.name == "postgresql"
    zone = "LOCAL TIME ZONE 'Asia/Kathmandu'" if is_postgres else "time_zone = '+05:45'"
    with sample.store.write() as connection:
        connection.execute(sa.text(f"SET {zone}"))
        connection.execute(table.update().values(heartbeat_at=MOMENTS[0]))
        (back, *_) = connection.execute(sa.select(table.c.heartbeat_at)).scalars()
    assert back == MOMENTS[0]
    assert back.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(sample: Sample) -> None:
    naive = MOMENTS[0].replace(tzinfo=None)
    statement = table.update().values(heartbeat_at=naive)
    refused = pytest.raises(StatementError, match="time without a zone")
    with sample.engine.connect() as connection, refused:
        connection.execute(statement)


def test_no_time_stays_no_time(sample: Sample) -> None:
    assert sample.attempt()["heartbeat_at"] is None


def test_mysql_keeps_microseconds_too() -> None:
    kind = UtcDateTime().load_dialect_impl(mysql.dialect())
    assert kind.fsp == 6


def test_a_number_that_is_no_member_is_refused() -> None:
    code = Code(TrialStatus)
    dialect = sa.create_engine("sqlite://").dialect
    assert code.process_bind_param(TrialStatus.RUNNING, dialect) == 4
    assert code.process_result_value(4, dialect) is TrialStatus.RUNNING
    with pytest.raises(ValueError, match="6"):
        code.process_bind_param(6, dialect)
