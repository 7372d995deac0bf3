"""Views are made and made anew; what the user has built stays, or is named."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from db import views
from db.errors import DatabaseError
from db.views import VIEWS, WINDOWS


def names(engine: sa.Engine) -> set[str]:
    """The views of a database."""
    return set(sa.inspect(engine).get_view_names())


def test_no_two_windows_and_no_table_share_a_name(engine: sa.Engine) -> None:
    all_names = [name for window in WINDOWS for name in window.VIEWS]
    assert len(all_names) == len(set(all_names))
    assert not VIEWS.keys() & set(sa.inspect(engine).get_table_names())


def test_dropping_takes_ours_and_making_brings_them_back(engine: sa.Engine) -> None:
    assert names(engine) == VIEWS.keys()
    with engine.begin() as connection:
        views.drop(connection)
    assert names(engine) == set()
    with engine.begin() as connection:
        views.create(connection)
    assert names(engine) == VIEWS.keys()


def test_a_view_of_the_user_stays(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE VIEW mine AS SELECT name FROM experiment")
        views.drop(connection)
    assert names(engine) == {"mine"}


def test_a_view_of_the_user_with_one_of_our_names_stays_and_is_named(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        views.drop(connection)
        connection.exec_driver_sql("CREATE VIEW run AS SELECT name FROM experiment")
    with engine.begin() as connection:
        views.drop(connection)
        with pytest.raises(DatabaseError, match="the database holds run, but Headway makes views"):
            views.create(connection)
    assert names(engine) == {"run"}


@pytest.mark.parametrize("below", ["trial_v2", "run"])
def test_a_view_of_the_user_on_one_of_ours_is_named(engine: sa.Engine, below: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f'CREATE VIEW "my ""own" AS SELECT id FROM {below}')
    with pytest.raises(DatabaseError, match="own") as caught, engine.begin() as connection:
        views.drop(connection)
    assert f"depends on view {below}, which is Headway's" in caught.value.message
    assert caught.value.hint == "Drop your view, upgrade, then create it again."
    assert names(engine) == {*VIEWS, 'my "own'}
