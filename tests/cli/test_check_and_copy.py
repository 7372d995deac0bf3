"""`headway db check` and `headway db copy`, run as a user runs them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql.engine import connect
from db.sql.tables import Parameter, ParameterConstraint, Trial
from db.sql.trials import parameter_hash
from orchestrator.cli import database, main
from tests.db.rich import Rich, make_rich, points
from tests.main_job.runs import Place, wait_until

LONG = "x" * 300
pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def rich(here: Path) -> Iterator[Rich]:
    """A file with two runs of an experiment."""
    engine = connect(f"sqlite:///{here}/all.db")
    made = make_rich(engine)
    make_rich(engine, run=2)
    yield made
    engine.dispose()


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What a command prints, on both streams; run in this process, which is faster."""
    assert main(["db", *words]) == code
    caught = capsys.readouterr()
    return caught.out + caught.err


def change(rich: Rich, *statements: Any) -> None:
    with rich.engine.begin() as connection:
        for statement in statements:
            connection.execute(statement)


def put_point(rich: Rich, index: int, **values: Any) -> None:
    """Change the point of a trial, hash included."""
    point = {name: value for name, value in (points(index) | values).items() if value is not None}
    where = Trial.id == rich.trial_ids[index]
    values = {"parameters": point, "parameter_hash": parameter_hash(point)}
    change(rich, sa.update(Trial).where(where).values(**values))


def test_a_whole_database_gets_one_line(rich: Rich, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "check", "all.db")
    assert text.count("\n") == 1
    assert "2 experiments, 16 trials" in text
    assert "all fits together" in text


def test_an_experiment_is_checked_alone(rich: Rich, capsys: pytest.CaptureFixture[str]) -> None:
    change(rich, sa.update(Trial).where(Trial.id == rich.trial_ids[3]).values(completed_at=None))
    url = f"sqlite:///{Path('all.db').absolute()}"
    assert "rich/2: 1 experiment, 8 trials" in said(capsys, "check", "rich/2", "--db_url", url)
    text = said(capsys, "check", "rich/1", "--db_url", url, code=1)
    assert text.startswith("wrong: rich/1 trial 3: is FAILED with completed_at None;")
    assert "[trial-times]" in text
    assert "1 breach found" in text


def test_a_breach_has_stable_fields_in_json(rich: Rich, capsys: pytest.CaptureFixture[str]) -> None:
    change(rich, sa.update(Trial).where(Trial.id == rich.trial_ids[3]).values(completed_at=None))
    record = json.loads(said(capsys, "check", "all.db", "--json", code=1))
    assert record["trials"] == 16
    assert record["warnings"] == []
    [breach] = record["breaches"]
    assert set(breach) == {"check", "experiment", "trial", "attempt", "message"}
    assert (breach["check"], breach["experiment"], breach["trial"]) == ("trial-times", "rich/1", 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"x": 1.5}, "x = 1.5 is not in its range"),
        ({"layers": 3.0}, "layers = 3.0 is not in its range"),
        ({"kind": "z"}, "kind = 'z' is not in its choice"),
        ({"epochs": 8}, "epochs = 8 is not in its fixed"),
        ({"flag": None}, "its parameters lack ['flag']"),
        ({"y": 1}, "and have ['y']"),
        ({"x": 1.0, "layers": 9}, "do not meet the constraint x + layers <= 9.5"),
    ],
)
def test_a_point_that_is_not_of_its_space_is_found(
    rich: Rich, capsys: pytest.CaptureFixture[str], values: dict[str, Any], message: str
) -> None:
    put_point(rich, 2, **values)
    text = said(capsys, "check", "all.db", code=1)
    assert message in text
    assert text.count("wrong: ") == text.count("wrong: rich/1 trial 2: ") == 1
    assert "[parameters]" in text


def test_a_point_that_was_changed_is_found_by_its_hash(
    rich: Rich, capsys: pytest.CaptureFixture[str]
) -> None:
    where = Trial.id == rich.trial_ids[2]
    change(rich, sa.update(Trial).where(where).values(parameters=points(2) | {"x": 0.125}))
    text = said(capsys, "check", "all.db", code=1)
    assert text.startswith("wrong: rich/1 trial 2: its parameter_hash is not that of")
    change(rich, sa.text(f"UPDATE trial SET parameters = '[1' WHERE id = {rich.trial_ids[2]}"))
    assert "trial 2: its parameters are no JSON object" in said(capsys, "check", "all.db", code=1)


@pytest.mark.parametrize(
    "statement",
    [
        sa.update(Parameter).where(Parameter.name == "x").values(lower=2.0),
        sa.update(Parameter).where(Parameter.name == "kind").values(choices=[1, 2]),
        sa.update(ParameterConstraint).where(ParameterConstraint.position == 1).values(text="x <"),
    ],
)
def test_a_space_that_makes_no_sense_is_found(
    rich: Rich, capsys: pytest.CaptureFixture[str], statement: Any
) -> None:
    change(rich, statement)
    text = said(capsys, "check", "all.db", code=1)
    assert "rich/1: its space makes no sense: " in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("change_of_x", "why"),
    [("kind = 'foo'", "'foo'"), ("kind = 'fixed', fixed_value = '[1]'", "Field required")],
)
def test_a_row_that_no_database_takes_hides_no_other_finding(
    rich: Rich, capsys: pytest.CaptureFixture[str], change_of_x: str, why: str
) -> None:
    change(rich, sa.update(Trial).where(Trial.id == rich.trial_ids[3]).values(completed_at=None))
    with sqlite3.connect("all.db") as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(f"UPDATE parameter SET {change_of_x} WHERE name = 'x'")
    connection.close()
    text = said(capsys, "check", "all.db", code=1)
    assert "rich/1: its space makes no sense: " in text
    assert why in text
    assert "[trial-times]" in text


def test_a_damaged_file_is_no_traceback(rich: Rich, capsys: pytest.CaptureFixture[str]) -> None:
    rich.engine.dispose()
    with sqlite3.connect("all.db") as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    data = bytearray(Path("all.db").read_bytes())
    for page in range(5, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    Path("all.db").write_bytes(data)
    text = said(capsys, "check", "all.db", code=1)
    assert "all.db: " in text
    assert "integrity_check" in text or "malformed" in text
    assert "should not happen" not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "none.db"], "no experiment 'none.db'"),
        (["check", "no/such/run"], "there is no run folder"),
        (["copy", "all.db", "all.db"], "DST: 'all.db' is the same database as SRC"),
        (["copy", "all.db", "no/such/b.db"], "DST: 'no/such/b.db' lies in 'no/such', which is no"),
        (["copy", "all.db", "."], "DST: '.' is no file"),
        (["copy", "all.db", "b.db", "--experiment", "rich/3"], "no experiment 'rich/3'. Did you"),
        (["copy", "all.db", "postgresql//x"], "lies in 'postgresql', which"),
        (["copy", "all.db", "postgres://u:secret@h:p/d"], "DST: 'postgres://u:***@h:p/d' is not"),
        (["copy", "text.txt", "b.db"], "SRC: 'text.txt' is no SQLite database."),
        (["copy", "all.db", "text.txt"], "DST: 'text.txt' is no SQLite database."),
        (["copy", "all.db", "named"], "DST: 'named' is an experiment here"),
        (["check", "text.txt"], "EXP: 'text.txt' is no SQLite database."),
        (["info", "text.txt"], "EXP: 'text.txt' is no SQLite database."),
        (["check", "named"], "there is no experiment 'named'"),
        (["check", "all.db", "--db_url", "sqlite:///all.db"], "'all.db' is a database already"),
        (["info", "all.db", "--db_url", "sqlite:///all.db"], "'all.db' is a database already"),
        (["info", "rihc", "--db_url", "sqlite:///all.db"], "holds no experiment 'rihc'"),
        (["info", "~nouser"], "EXP: '~nouser': there is no home folder"),
        (["copy", "~nouser/x", "b.db"], "SRC: '~nouser/x': there is no home folder"),
        (["copy", "all.db", "~nouser/x"], "DST: '~nouser/x': there is no home folder"),
        (["copy", "all.db", "@~nouser/x"], "DST: '~nouser/x': there is no home folder"),
        (["check", "--run_dir", "~nouser"], "--run_dir: '~nouser': there is no home folder"),
        (["info", "--run_dir", LONG], f"{LONG}' cannot be used: File name too long"),
        (["check", LONG], f"EXP: '{LONG}' cannot be used: File name too long"),
        (["copy", "all.db", LONG], f"DST: '{LONG}' cannot be used: File name too long"),
        (["copy", "all.db", "b.db", "--run_dir", LONG], "b.db' cannot be used: File name too"),
        (["copy", "old.db", "b.db"], "Bring it up to date: headway db upgrade"),
    ],
)
def test_bad_input_is_one_line_and_makes_nothing(
    rich: Rich, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    Path("text.txt").write_text("This is not a database, but a text of some length.\n" * 100)
    Path("runs/named/1").mkdir(parents=True)
    rich.engine.dispose()
    Path("old.db").write_bytes(Path("all.db").read_bytes())
    with sqlite3.connect("old.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    text = said(capsys, *words, code=2)
    assert message in text
    assert text.count("\n") == 1
    assert "secret" not in text
    assert not Path("b.db").exists()


def test_a_copy_is_told_and_holds_all(rich: Rich, capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(said(capsys, "copy", "all.db", "new.db", "--json"))
    assert [(row["experiment"], row["copied_as"], row["was"]) for row in rows] == [
        ("rich/1", "rich/1", "new"),
        ("rich/2", "rich/2", "new"),
    ]
    assert rows[0]["added"]["trial"] == rows[0]["trials"] == 8
    assert "the same already" in said(capsys, "copy", "all.db", "new.db", "--experiment", "rich")
    assert "2 experiments, 16 trials" in said(capsys, "check", "new.db")
    assert main(["list", "--db_url", f"sqlite:///{Path('new.db').absolute()}", "--json"]) == 0
    assert [row["run"] for row in json.loads(capsys.readouterr().out)] == [1, 2]


def test_help_of_copy_says_what_a_second_copy_does() -> None:
    text = " ".join(database.make_parser("copy").format_help().split())
    assert "a second copy adds and changes what is new" in text


def test_one_experiment_is_copied_alone(rich: Rich, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "copy", "all.db", "new.db", "--experiment", "rich")
    assert "rich/2" in said(capsys, "copy", "all.db", "new.db", "--experiment", "rich/2")
    assert json.loads(said(capsys, "check", "new.db", "--json"))["experiments"] == 1


def test_a_run_number_that_was_taken_is_told(
    rich: Rich, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = connect(f"sqlite:///{here}/other.db")
    make_rich(other)
    with other.begin() as connection:
        for table, column in (
            ("experiment", "uuid"),
            ("submission", "token"),
            ("attempt", "token"),
        ):
            connection.exec_driver_sql(f"UPDATE {table} SET {column} = {column} || '+'")
    text = said(capsys, "copy", "other.db", "all.db")
    assert "rich/1 is rich/3 there: its number was taken" in text
    other.dispose()


def test_no_password_is_told(
    rich: Rich, here: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    password = postgres_url.split(":")[2].partition("@")[0]
    (here / "url.txt").write_text(postgres_url)
    (here / "url.txt").chmod(0o600)
    texts = [
        said(capsys, "copy", "all.db", "@url.txt"),
        said(capsys, "check", "--db_url", "@url.txt"),
        said(capsys, "copy", "@url.txt", "@url.txt", code=2),
        said(capsys, "copy", "@url.txt", "back.db", "--json"),
        said(capsys, "check", "back.db"),
    ]
    assert not any(password in text for text in texts)
    assert "16 trials" in texts[1]
    assert "16 trials" in texts[-1]


@pytest.mark.slow
def test_a_run_is_whole_and_can_be_copied_at_any_moment(here: Path) -> None:
    place = Place(here)
    words = ["run", "--experiment_name", "first", "--force_local_execution", "--max_eval", "12"]
    words += ["--num_parallel_jobs", "3", "--parameter", "x range 0 1", "--seed", "1"]
    # Every fourth trial waits for the next gate: the head lives as long as it is looked at.
    program = "until [ -e gate$((HEADWAY_TRIAL / 4)) ]; do sleep 0.1; done; echo RESULT: %(x); "
    head = place.start(*words, "--run_program", program + "[ $HEADWAY_TRIAL != 4 ]")
    wait_until((here / "runs/first/1/spec.json").exists)
    for gate in range(2):
        (here / f"gate{gate}").touch()
        place.run("db", "check", "first")
        place.run("db", "copy", "first", "all.db")
        place.run("db", "check", "all.db")
    assert head.process.poll() is None
    head.kill()
    place.run("db", "check", "first")
    place.run("db", "copy", "runs/first/1", "all.db")
    (here / "gate2").touch()
    place.run("resume", "first")
    assert "12 trials" in place.run("db", "check", "first")
    [row] = place.json("db", "copy", "first", "all.db")
    assert row["was"] == "brought up to date"
    assert "12 trials" in place.run("db", "check", "all.db")
