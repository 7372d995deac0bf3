"""`db.frames` on every database system."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import Engine

from db import frames
from db.errors import DatabaseError
from db.sql.engine import connect
from db.sql.reading.fields import PAGE
from tests.db.records import START
from tests.db.rich import FAILURE, MEANS, Rich, make_rich

ROOT = Path(__file__).parents[2]
READERS = (
    frames.trials,
    frames.outcomes,
    frames.metrics,
    frames.attempts,
    frames.generations,
    frames.events,
)


@pytest.fixture
def rich(engine: Engine) -> Rich:
    """An experiment with everything in it, and others beside it."""
    make_rich(engine, "earlier")
    made = make_rich(engine, "rich", run=2)
    make_rich(engine, "rich", run=1, objectives=1)
    return made


def test_trials_have_one_row_each_with_typed_columns(rich: Rich, url: str) -> None:
    frame = frames.trials(url, "rich/2")
    assert list(frame.columns[:11]) == [
        *("trial", "status", "generator", "x", "lr", "layers", "kind", "flag", "epochs"),
        *("LOSS", "ACC"),
    ]
    assert list(frame["trial"]) == list(range(8))
    types = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert (types["x"], types["layers"], types["flag"]) == ("float64", "Int64", "boolean")
    assert (types["kind"], types["trial"], types["LOSS"]) == ("string", "Int64", "float64")
    assert types["ended_at"] == "datetime64[us, UTC]"
    assert list(frame["kind"])[:3] == ["a", "b's", 'c"d']
    assert list(frame["flag"])[:2] == [True, False]
    assert frame["note"][0] == "fine, isn't it"


def test_numbers_keep_all_their_digits(rich: Rich, url: str) -> None:
    frame = frames.trials(url, "rich/2").set_index("trial")
    assert {index: frame["LOSS"][index] for index in MEANS} == MEANS
    assert frame["x"][2] == 0.1 * 3
    assert frame["LOSS_sem"][1] == 0.5
    assert pd.isna(frame["LOSS_sem"][0])


def test_what_is_not_known_is_missing_and_not_zero(rich: Rich, url: str) -> None:
    candidate = frames.trials(url, "rich/2").iloc[7]
    assert (candidate["status"], candidate["attempts"]) == ("CANDIDATE", 0)
    for name in ("LOSS", "host", "exit_code", "run_seconds", "started_at", "ended_at", "note"):
        assert pd.isna(candidate[name]), name


def test_the_telling_attempt_is_the_one_that_succeeded_or_the_last(rich: Rich, url: str) -> None:
    frame = frames.trials(url, "rich/2").set_index("trial")
    assert (frame["attempts"][2], frame["job"][2], frame["exit_code"][2]) == (2, "123_2", 0)
    assert (frame["job"][3], frame["failure"][3]) == ("123_4", "PROGRAM")
    assert frame["reason"][3].startswith("PROGRAM: exit code 1")
    assert frame["run_seconds"][3] == 60.0
    assert frame["wait_seconds"][3] == 1.0


def test_times_are_utc_with_microseconds(rich: Rich, url: str) -> None:
    assert frames.experiments(url)["created_at"][0] == pd.Timestamp(START)
    assert frames.metrics(url, "rich/2")["created_at"][0].microsecond == START.microsecond


def test_the_long_tables_hold_what_was_written(rich: Rich, url: str) -> None:
    outcomes = frames.outcomes(url, "rich/2")
    assert len(outcomes) == 8
    assert list(outcomes["objective"][:2]) == ["LOSS", "ACC"]
    metrics = frames.metrics(url, "rich/2")
    assert list(metrics["value"]) == [1.0 / 3, 1.0 / 4, 1.0 / 5]
    assert set(metrics["split"]) == {"VALIDATION"}
    attempts = frames.attempts(url, "rich/2")
    assert len(attempts) == 9
    assert (attempts["cpus"][0], attempts["gpus"][0], attempts["memory_mb"][0]) == (2, 1, 1536)
    assert (attempts["wall_seconds"][0], attempts["peak_memory_bytes"][0]) == (60.0, 2**30)
    failed = attempts[attempts["state"] == "FAILED"].iloc[0]
    assert [failed[name] for name in ("failure", "failure_name", "message", "action")] == [
        "PROGRAM",
        FAILURE["failure_name"],
        FAILURE["failure_message"],
        FAILURE["failure_action"],
    ]
    assert failed["evidence"] == FAILURE["failure_evidence"]
    generations = frames.generations(url, "rich/2")
    assert list(generations["generator"]) == ["SOBOL", "TPE"]
    assert generations["seed"][0] == 4294967295
    events = frames.events(url, "rich/2")
    assert list(events["kind"]) == ["setup", "ask", "tell", "exit"]
    assert events["payload"][2] == {"trial_index": 0, "means": {"LOSS": 0.1 + 0.2}}


def test_experiments_are_listed(rich: Rich, url: str) -> None:
    frame = frames.experiments(url)
    assert list(zip(frame["name"], frame["run"], strict=True)) == [
        ("earlier", 1),
        ("rich", 2),
        ("rich", 1),
    ]
    assert frame["metadata"][1] == {"ticket": "HPC-1", "empty": ""}
    assert frame["trials"][1]["COMPLETED"] == 4
    assert frame["objectives"][1][1] == {"name": "ACC", "goal": "max"}


def test_an_experiment_is_named_by_its_name_its_run_or_its_uuid(rich: Rich, url: str) -> None:
    for name in ("rich", "rich/2", rich.uuid):
        assert "ACC" in frames.trials(url, name).columns
    assert "ACC" not in frames.trials(url, "rich/1").columns


@pytest.mark.parametrize(
    ("name", "hint"),
    [("rihc", "Did you mean rich/"), ("rich/9", "Did you mean rich/"), ("zzz", "experiments(url)")],
)
def test_an_unknown_experiment_is_an_error_with_a_hint(
    rich: Rich, url: str, name: str, hint: str
) -> None:
    with pytest.raises(DatabaseError, match=f"no experiment '{name}'") as caught:
        frames.trials(url, name)
    assert hint in str(caught.value)


def test_an_experiment_without_rows_has_frames_with_all_columns(url: str) -> None:
    engine = connect(url)
    full = make_rich(engine, "full")
    with engine.begin() as connection:
        for table in ("outcome", "metric", "event", "artifact", "report"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
        for table in ("attempt", "trial", "generation"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    engine.dispose()
    for read in READERS:
        frame = read(url, full.name)
        assert len(frame) == 0
        assert len(frame.columns) >= 5
    assert str(frames.trials(url, "full")["layers"].dtype) == "Int64"


def test_reading_changes_no_byte_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "database.db"
    engine = connect(f"sqlite:///{path}")
    make_rich(engine)
    engine.dispose()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    for read in READERS:
        assert len(read(path, "rich")) > 0
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_more_trials_than_a_page_are_all_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "database.db"
    engine = connect(f"sqlite:///{path}")
    made = make_rich(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 2 FROM n WHERE i < 5000) "
            'INSERT INTO trial (experiment_id, "index", parameters, parameter_hash, status, '
            f"created_at) SELECT {made.experiment_id}, i, '{{}}', '', 0, "
            "'2030-01-01 00:00:00.000000' FROM n"
        )
    engine.dispose()
    found = list(frames.trials(path, "rich")["trial"])
    assert found == [*range(8), *range(100, 5002, 2)]
    assert len(found) > 2 * PAGE


def test_frames_import_no_pandas_before_they_are_made_and_work_isolated(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path}/database.db")
    make_rich(engine)
    engine.dispose()
    (tmp_path / "db.py").write_text("raise SystemExit('the user s own db was imported')")
    code = (
        "import sys; sys.path.append(sys.argv[1]); from db import frames; from pathlib import Path\n"
        "assert 'pandas' not in sys.modules\n"
        "print(len(frames.trials(Path(sys.argv[2]), 'rich')))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(ROOT), "database.db"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("8\n", "")
