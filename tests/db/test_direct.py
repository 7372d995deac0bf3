"""The worker's statements, the same tests for every way that a database is spoken to."""

from __future__ import annotations

import select
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest

from db.connections import open_database, passwords_of, without_password
from db.direct import DirectStore
from db.errors import DatabaseError, DatabaseUnavailable
from db.records import Assignment, Claim, ReportMessage
from db.states import CLAIMABLE_ATTEMPTS, AttemptState, ReportKind
from tests.db.attempts import TOKEN, Store

CLAIM: Claim = {
    "claim": "nonce",
    "host": "node7",
    "slurm_job_id": "12_3",
    "pid": 4,
    "started_at": "2030-01-02T03:04:05.000000+00:00",
}


@pytest.fixture(
    params=[
        "sqlite",
        "sqlite through SQLAlchemy",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mysql", marks=pytest.mark.mysql),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A filled database, and the URL by which a worker opens it."""
    if request.param in {"postgres", "mysql"}:
        store = Store(request.getfixturevalue(f"{request.param}_url"))
    else:
        # A URL with a query is more than the short way understands.
        query = "?timeout=30" if "SQLAlchemy" in request.param else ""
        store = Store(f"sqlite:///{tmp_path}/database.db{query}")
    store.fill(attempts=2)
    return store


def worker_of(store: Store) -> DirectStore:
    return DirectStore(store.url, run_dir="/run", experiment_id=1)


def claimed(store: Store) -> Assignment:
    assignment = worker_of(store).claim(TOKEN, 0, CLAIM)
    assert assignment is not None
    return assignment


def end_of(assignment: Assignment, token: str | None = None) -> ReportMessage:
    return {
        "attempt_id": assignment["attempt_id"],
        "attempt_token": token or assignment["attempt_token"],
        "kind": "END",
        "sequence": 0,
        "created_at": "2030-01-02T03:04:06.000000+00:00",
        "payload": {"results": {"RESULT": 1.5}, "tail": "100 % 'done' é"},
    }


def is_recent(moment: datetime | None) -> bool:
    return moment is not None and abs(datetime.now(UTC) - moment) < timedelta(seconds=60)


def test_a_claim_starts_the_attempt_and_reports_it(store: Store) -> None:
    assert claimed(store) == {
        "attempt_id": store.attempt().id,
        "attempt_token": "a0",
        "number": 1,
        "trial_index": 10,
        "parameters": {"x": 0.1, "s": "a'b"},
        "log_path": "logs/0.log",
        "checkpoint_dir": "/run/checkpoints/10",
    }
    attempt = store.attempt()
    assert attempt.state is AttemptState.STARTED
    assert (attempt.claim, attempt.host, attempt.slurm_job_id) == ("nonce", "node7", "12_3")
    assert is_recent(attempt.started_at)
    assert is_recent(attempt.heartbeat_at)
    (report,) = store.reports()
    assert (report.kind, report.sequence, report.payload) == (ReportKind.START, 0, CLAIM)
    assert is_recent(report.created_at)
    assert report.consumed_at is None


def test_a_claim_whose_answer_was_lost_is_given_again(store: Store) -> None:
    assert claimed(store) == claimed(store)
    assert len(store.reports()) == 1


def test_another_worker_is_refused(store: Store) -> None:
    claimed(store)
    other: Claim = {**CLAIM, "claim": "other"}
    assert worker_of(store).claim(TOKEN, 0, other) is None
    assert worker_of(store).claim(TOKEN, 1, other) is not None
    assert worker_of(store).claim(TOKEN, 9, other) is None
    assert worker_of(store).claim("unknown", 0, other) is None
    assert store.attempt().claim == "nonce"


@pytest.mark.parametrize("state", sorted(set(AttemptState) - CLAIMABLE_ATTEMPTS))
def test_only_a_waiting_attempt_can_be_claimed(store: Store, state: AttemptState) -> None:
    store.change(state=state)
    assert worker_of(store).claim(TOKEN, 0, CLAIM) is None
    assert store.attempt().state is state
    assert store.reports() == []


def test_an_attempt_that_was_given_up_is_not_claimed_again(store: Store) -> None:
    claimed(store)
    store.change(state=AttemptState.LOST)
    assert worker_of(store).claim(TOKEN, 0, CLAIM) is None


def test_a_known_slurm_job_stays(store: Store) -> None:
    store.change(slurm_job_id="99_1", state=AttemptState.PLANNED)
    claimed(store)
    assert store.attempt().slurm_job_id == "99_1"


def test_a_report_is_stored_once(store: Store) -> None:
    message = end_of(claimed(store))
    worker_of(store).send(message)
    worker_of(store).send(message)
    _, end = store.reports()
    assert (end.kind, end.payload) == (ReportKind.END, message["payload"])


def test_an_end_is_stored_though_the_attempt_was_superseded(store: Store) -> None:
    message = end_of(claimed(store))
    store.change(state=AttemptState.SUPERSEDED)
    worker_of(store).send(message)
    assert len(store.reports()) == 2
    assert store.attempt().state is AttemptState.SUPERSEDED


def test_a_report_with_a_wrong_token_is_refused(store: Store) -> None:
    with pytest.raises(DatabaseError, match="no attempt"):
        worker_of(store).send(end_of(claimed(store), token="wrong"))
    assert len(store.reports()) == 1


def test_a_heartbeat_counts_only_for_a_running_attempt(store: Store) -> None:
    assignment = claimed(store)
    old = datetime(2020, 1, 1, tzinfo=UTC)
    store.change(heartbeat_at=old)
    assert worker_of(store).beat(assignment)
    assert is_recent(store.attempt().heartbeat_at)
    assert not worker_of(store).beat({**assignment, "attempt_token": "wrong"})
    store.change(heartbeat_at=old, state=AttemptState.LOST)
    assert not worker_of(store).beat(assignment)
    assert store.attempt().heartbeat_at == old


RACER = """
import sys; sys.path.extend(sys.argv[4:])
from db.direct import DirectStore
claim = {"claim": sys.argv[2], "host": "h", "slurm_job_id": None, "pid": 1, "started_at": ""}
sys.stdin.read()
store = DirectStore(sys.argv[1], run_dir="/run", experiment_id=1)
print(store.claim(sys.argv[3], 0, claim) is not None)
"""


def test_of_eight_claims_at_once_exactly_one_wins(store: Store) -> None:
    folders = [folder for folder in sys.path if folder]
    racers = [
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", RACER, store.url, f"n{n}", TOKEN, *folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(8)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.close()
        racer.stdin = None
    answers = [racer.communicate(timeout=120)[0].strip() for racer in racers]
    assert sorted(answers) == ["False"] * 7 + ["True"]
    assert store.attempt().claim == f"n{answers.index('True')}"
    assert len(store.reports()) == 1


@pytest.mark.postgres
def test_an_end_wakes_the_head_and_nothing_else_does(postgres_url: str) -> None:
    store = Store(postgres_url)
    store.fill()
    listener = psycopg2.connect(postgres_url)
    try:
        listener.autocommit = True
        with listener.cursor() as cursor:
            cursor.execute("LISTEN headway")
        assignment = claimed(store)
        worker_of(store).beat(assignment)
        worker_of(store).send(end_of(assignment))
        select.select([listener], [], [], 10)
        listener.poll()
        assert [notify.payload for notify in listener.notifies] == ["1"]
    finally:
        listener.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@127.0.0.1:1/db",
        "postgres://me:s3cret@127.0.0.1:1/db",
        "postgresql+psycopg2://me:s3cret@127.0.0.1:1/db?sslmode=disable",
        "mysql://me:s3cret@127.0.0.1:1/db",
        "sqlite:////nowhere/database.db",
        "sqlite:////nowhere/database.db?timeout=1",
    ],
)
def test_a_database_that_does_not_answer_is_unavailable(url: str) -> None:
    store = DirectStore(url, run_dir="/run", experiment_id=1)
    with pytest.raises(DatabaseUnavailable) as caught:
        store.claim(TOKEN, 0, CLAIM)
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("query", ["", "?timeout=1"])
def test_a_file_without_our_tables_is_no_matter_of_patience(tmp_path: Path, query: str) -> None:
    sqlite3.connect(tmp_path / "x.db").close()
    (tmp_path / "text.db").write_text("this is not a database" * 100)
    for name in ("x.db", "text.db"):
        store = DirectStore(f"sqlite:///{tmp_path / name}{query}", run_dir="/", experiment_id=1)
        with pytest.raises(DatabaseError):
            store.claim(TOKEN, 0, CLAIM)


def test_an_unknown_kind_of_database_is_an_error() -> None:
    with pytest.raises(DatabaseError):
        open_database("nonsense://me:s3cret@host/db")


@pytest.mark.parametrize(
    ("url", "passwords"),
    [
        ("postgresql://me:p%40ss@host/db?x=1", {"p%40ss", "p@ss"}),
        ("postgresql://host/db?user=me&password=secret", {"secret"}),
        ("postgresql://me@host/db", set()),
        ("sqlite:////a:b@c.db", set()),
    ],
)
def test_a_password_is_found_in_a_url(url: str, passwords: set[str]) -> None:
    assert passwords_of(url) == passwords


def test_a_password_is_taken_out_of_a_text() -> None:
    url = "postgresql://me:p%40ss@host/db?x=1"
    assert without_password(f"no {url}\nwith p@ss or p%40ss", url) == "no *** with *** or ***"
