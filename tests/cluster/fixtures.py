"""The services as pytest fixtures, one of each a session; a plugin: ``-p tests.cluster.fixtures``.

A test that uses one gets the marker ``slurm``, ``postgres`` or ``mysql``, so that it can be chosen or left
out by it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.cluster import mariadb, postgres, slurm
from tests.cluster.mariadb import PrivateMariadb
from tests.cluster.postgres import PrivatePostgres
from tests.cluster.programs import missing_programs
from tests.cluster.slurm import PrivateSlurm, SlurmSettings

MARKERS = {
    "slurm_cluster": "slurm",
    "postgres_server": "postgres",
    "postgres_url": "postgres",
    "mysql_server": "mysql",
    "mysql_url": "mysql",
}


# On MariaDB these run with the slow ones only, to keep `make test` under its limit: making its tables
# for each test takes longest of all systems.
SELDOM_ON_MARIADB = (
    *("db/sql/test_checks.py", "db/sql/test_columns.py", "db/sql/test_copying", "db/sql/test_host"),
    *(
        "cli/test_schema.py",
        "db/sql/test_log.py",
        "db/sql/test_overview.py",
        "db/sql/test_states.py",
        "db/test_export.py",
    ),
    *("db/test_frames.py", "docs/", "reports/"),
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that use a service; first, because ``-m`` chooses in the same hook."""
    tests = Path(__file__).parents[1]
    for item in items:
        place = item.path.relative_to(tests).as_posix()
        if item.get_closest_marker("mysql") and place.startswith(SELDOM_ON_MARIADB):
            item.add_marker("slow")
        for name in getattr(item, "fixturenames", ()):
            if name in MARKERS:
                item.add_marker(MARKERS[name])


def services_are_required() -> bool:
    """Tell whether a missing service is a failure: in CI it is, on a laptop it is not."""
    return (
        os.environ.get("CI", "").lower() not in ("", "false")
        or os.environ.get("HEADWAY_REQUIRE_SERVICES") == "1"
    )


def require_programs(service: str, programs: Iterable[str]) -> None:
    """Skip or fail the test that asks for a service whose programs are not installed."""
    missing = missing_programs(programs)
    if not missing:
        return
    reason = f"{service} is not installed ({', '.join(missing)}); see {slurm.INSTALLER}"
    if services_are_required():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[PrivateSlurm]:
    """A private Slurm of the default size; a test leaves it as it found it."""
    settings = SlurmSettings()
    require_programs("Slurm", slurm.required_programs(settings))
    with PrivateSlurm(settings) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PrivatePostgres]:
    """A private PostgreSQL server."""
    require_programs("PostgreSQL", postgres.PROGRAMS)
    with PrivatePostgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PrivatePostgres) -> Iterator[str]:
    """The URL of a database that no other test sees."""
    url = postgres_server.clone()
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[PrivateMariadb]:
    """A private MariaDB server."""
    require_programs("MariaDB", mariadb.PROGRAMS)
    with PrivateMariadb() as server:
        yield server


@pytest.fixture
def mysql_url(mysql_server: PrivateMariadb) -> Iterator[str]:
    """The URL of a MariaDB database that no other test sees."""
    url = mysql_server.create()
    yield url
    mysql_server.drop(url)
