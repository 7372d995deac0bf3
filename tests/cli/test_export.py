"""`headway export`, run as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from db.sql import tables
from db.sql.reading import catalogue
from db.states import TrialStatus
from orchestrator.cli import exporting
from orchestrator.errors import HeadwayError, UsageError
from tests.main_job.runs import HEADWAY
from tests.reports.searches import Search, fill

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def search(search: Search) -> Search:
    """A filled search in the run folder here, with a strategy."""
    add_strategy(search)
    return search


def add_strategy(search: Search) -> None:
    """Ax loads no experiment whose strategy has no step."""
    node = {"position": 0, "generator": "SOBOL", "min_observed": 0}
    search.insert(tables.GenerationNode, experiment_id=search.id, **node)


def exported(capsysbinary: pytest.CaptureFixture[bytes], *words: str) -> str:
    assert exporting.run("export", list(words)) == 0
    return capsysbinary.readouterr().out.decode()


def test_csv_goes_to_standard_output(
    search: Search, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    rows = list(csv.DictReader(io.StringIO(exported(capsysbinary, "demo"))))
    assert [row["trial"] for row in rows] == [str(index) for index in range(8)]
    assert (rows[3]["x"], rows[3]["LOSS"], rows[3]["colour"]) == ("0.3", "1.5", "c3")
    assert rows[4]["reason"] == "exit code 1"
    long = exported(capsysbinary, "demo/1", "--table=attempts", "--output", "-")
    assert len(long.splitlines()) == 1 + 8


def test_json_may_hold_all_tables(
    search: Search, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    found = json.loads(exported(capsysbinary, "--format", "json", "--table", "all"))
    assert list(found) == ["format", "version", "experiment", *exporting.TABLES]
    assert found["trials"][3]["results"] == {"LOSS": 1.5, "SPEED": 1.0}
    assert found["trials"][0]["infos"] == {}


def test_the_tables_of_the_option_are_those_that_there_are() -> None:
    assert exporting.TABLES == catalogue.NAMES


def test_a_file_is_written_whole_and_not_over_another(search: Search, here: Path) -> None:
    assert exporting.run("export", ["--output", "out.csv"]) == 0
    before = Path("out.csv").read_text()
    search.trial(8, TrialStatus.CANDIDATE)
    with pytest.raises(UsageError, match=r"exists\. Give another name, or --force"):
        exporting.run("export", ["--output", "out.csv"])
    assert Path("out.csv").read_text() == before
    assert exporting.run("export", ["--output", "out.csv", "--force"]) == 0
    assert len(Path("out.csv").read_text().splitlines()) == len(before.splitlines()) + 1
    assert sorted(path.name for path in here.iterdir()) == ["out.csv", "runs"]


def test_several_tables_go_to_a_folder(search: Search) -> None:
    words = ["--table", "trials,metrics", "--output"]
    assert exporting.run("export", [*words, "texts"]) == 0
    assert sorted(path.name for path in Path("texts").iterdir()) == ["metrics.csv", "trials.csv"]
    assert exporting.run("export", [*words, "typed", "--format", "parquet"]) == 0
    assert pq.read_table("typed/trials.parquet").num_rows == 8
    with pytest.raises(UsageError, match=r"trials\.csv' exists"):
        exporting.run("export", [*words, "texts"])


def test_ax_gets_a_file_of_tables(search: Search) -> None:
    assert exporting.run("export", ["--format", "ax", "--output", "ax.db"]) == 0
    with sqlite3.connect("ax.db") as connection:
        (count,) = connection.execute("SELECT count(*) FROM trial_v2").fetchone()
        (kind,) = connection.execute(
            "SELECT type FROM sqlite_master WHERE name = 'trial_v2'"
        ).fetchone()
    connection.close()
    assert (count, kind) == (8, "table")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--format", "jsn"], "--format: 'jsn' is none of csv, json, parquet, ax. Did you mean"),
        (["--table", "trails"], "--table: 'trails' is no table: trials, outcomes"),
        (["--table", ""], "--table: '' is no table"),
        (["--table", "all"], "--output: several tables as csv need a folder"),
        (["--format", "parquet"], "--output: parquet does not go to standard output"),
        (["--format", "ax", "--output", "-"], "--output: ax does not go to standard output"),
        (["--format", "ax", "--table", "trials", "--output", "a"], "--table: ax always takes"),
        (["--output", "no/where.csv"], "--output: there is no folder"),
        (["--output", "runs"], "is a folder; give the name of a file"),
        (["--output", "/dev/null"], "is no plain file"),
        (["--output", ""], "--output: it is empty"),
        (["--output", "runs/demo/1/database.db", "--force"], "is the experiment's own database"),
        (["--output", "runs/demo/1/database.db-wal", "--force"], "own database, or part of it"),
        (["--output", "runs/demo/1/database.db-shm", "--force"], "own database, or part of it"),
        (["--output", "runs/demo/1/database.db-journal"], "own database, or part of it"),
        (["--output", "~nouser/x"], "--output: '~nouser/x': there is no home folder"),
        (["--output", "x" * 300], "cannot be used: File name too long"),
        (["demo", "--run_dir", "x" * 300], "cannot be used: File name too long"),
        (["x" * 300], "there is no run folder of this name"),
        (["dmo"], "Did you mean demo?"),
        (["--outptu", "x"], "Did you mean --output?"),
    ],
)
def test_bad_input_is_answered_in_one_line(search: Search, words: list[str], expected: str) -> None:
    before = sorted(Path.cwd().rglob("*"))
    with pytest.raises(UsageError) as caught:
        exporting.run("export", words)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(Path.cwd().rglob("*")) == before


@pytest.mark.parametrize("words", [["out"], ["out", "--table", "trials,attempts"]])
def test_a_full_disk_leaves_nothing_behind(search: Search, here: Path, words: list[str]) -> None:
    search.trial(8, TrialStatus.FAILED, reason="x" * 100_000)
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "sys.path.insert(0, sys.argv[1]); from orchestrator.cli import main, export_files\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "sys.exit(main(['export', '--output', *sys.argv[2:]]))"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        # -B: a cut .pyc file would stay behind.
        [sys.executable, "-I", "-B", "-c", code, root, *words],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == "headway: --output: 'out' could not be written: File too large\n"
    assert [path.name for path in here.iterdir()] == ["runs"]


def test_parquet_without_pyarrow_names_what_to_install(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.export.parquet.is_available", lambda: False)
    with pytest.raises(UsageError, match=r"pip install 'headway\[parquet\]'"):
        exporting.run("export", ["--format", "parquet", "--output", "x"])


def test_a_reader_that_has_seen_enough_ends_it_quietly(search: Search) -> None:
    command = f"'{sys.executable}' -I '{HEADWAY[2]}' export | head -n 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert result.stdout.startswith("trial,status,generator,x,kind,LOSS,SPEED,")
    assert (result.stdout.count("\n"), result.stderr) == (1, "")


@pytest.mark.postgres
def test_a_server_database_exports_the_same_way(
    postgres_url: str, here: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    search = Search(url=postgres_url, run_dir=here / "far", name="served")
    fill(search)
    add_strategy(search)
    text = exported(capsysbinary, "served", "--db_url", postgres_url)
    assert len(text.splitlines()) == 9
    words = ["served", "--db_url", postgres_url, "--format", "ax", "--output", "ax.db"]
    assert exporting.run("export", words) == 0
    search.engine.dispose()


def test_a_run_without_its_database_is_named(search: Search) -> None:
    (search.run_dir / "database.db").unlink()
    with pytest.raises((UsageError, HeadwayError), match="there is no database file"):
        exporting.run("export", ["demo"])
