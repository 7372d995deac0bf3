"""The commands that only look, run as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from db.sql import head_lock
from db.sql.engine import connect
from db.sql.head_lock import Held
from orchestrator.cli import database, looking, places, urls
from orchestrator.errors import HeadAliveError, HeadwayError, UsageError
from orchestrator.lease import this_process
from tests.cli.commands import headway
from tests.main_job.runs import HEADWAY
from tests.reports.searches import Search, fill, local_search

NOBODY = 65534
pytestmark = pytest.mark.usefixtures("here")


def told(capsys: pytest.CaptureFixture[str], name: str, *words: str) -> str:
    """What a command prints; run in this process, which is faster."""
    assert looking.run(name, list(words)) == 0
    return capsys.readouterr().out


def data(capsys: pytest.CaptureFixture[str], name: str, *words: str) -> Any:
    return json.loads(told(capsys, name, *words, "--json"))


def test_the_version_is_told_also_where_headway_is_not_installed() -> None:
    told = headway("--version")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("headway ")


def test_list_names_all_runs_here(search: Search, capsys: pytest.CaptureFixture[str]) -> None:
    second = local_search(Path("runs").absolute(), run_number=2)
    rows = data(capsys, "list")
    assert [(row["name"], row["run"], row["status"]) for row in rows] == [
        ("demo", 1, "RUNNING"),
        ("demo", 2, "RUNNING"),
    ]
    assert rows[0]["best"] == {"LOSS": 1.5, "SPEED": 1.0}
    assert (rows[0]["completed"], rows[0]["failed"], rows[0]["waiting"]) == (4, 1, 1)
    assert rows[0]["created_at"] == "2026-03-01T12:00:00.000000+00:00"
    assert "LOSS=1.5 SPEED=1" in told(capsys, "list")
    second.engine.dispose()


def test_list_says_which_run_cannot_be_read(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = local_search(Path("runs").absolute(), name="broken")
    broken.engine.dispose()
    (broken.run_dir / "database.db").write_text("this is no database")
    rows = {row["name"]: row for row in data(capsys, "list")}
    assert rows["demo"]["problem"] is None
    assert rows["broken"]["status"] == "UNKNOWN"
    assert rows["broken"]["completed"] is None
    assert rows["broken"]["problem"]


def test_an_empty_folder_has_no_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is no experiment" in told(capsys, "list")
    assert data(capsys, "list") == []
    with pytest.raises(UsageError, match="there is no experiment"):
        looking.run("status", [])


def test_status_tells_counts_best_generator_and_head(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    record = data(capsys, "status", "demo")
    expected = {
        "status": "RUNNING",
        "done": 5,
        "max_eval": 10,
        "completed": 4,
        "running": 2,
        "slots_busy": 2,
        "best": {"LOSS": 1.5, "SPEED": 9.0},
        "generator": "SOBOL",
        "failures": {"PROGRAM": 2},
        "head": "ALIVE",
        "head_host": "login1",
    }
    assert {name: record[name] for name in expected} == expected
    assert "No head is alive" not in told(capsys, "status", "demo")


def test_status_of_a_dead_head_names_the_command_to_go_on(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    search.lease(-60)
    assert "headway resume demo/1" in told(capsys, "status")


def test_trials_are_filtered_sorted_and_limited(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    def indices(*words: str) -> list[int]:
        return [row["trial"] for row in data(capsys, "trials", *words)]

    assert indices() == list(range(8))
    assert indices("--status", "failed,running") == [4, 5, 6]
    assert indices("--status", "waiting") == [7]
    assert indices("--sort", "LOSS", "--limit", "2") == [3, 1]
    assert indices("demo", "--sort=SPEED", "--reverse", "--status=completed") == [0, 3, 1, 2]
    row = data(capsys, "trials", "--limit", "1")[0]
    assert row["parameters"] == {"x": 0.0, "kind": "a"}
    assert row["results"] == {"LOSS": 5.0, "SPEED": 1.0}


def test_the_table_of_trials_has_a_column_for_each_value(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = told(capsys, "trials").splitlines()
    assert lines[0].split() == [
        *("trial", "status", "generator", "host", "attempts", "run"),
        *("x", "kind", "LOSS", "SPEED", "colour", "reason"),
    ]
    assert len(lines) == 9
    assert "There is no such trial" in told(capsys, "trials", "--status", "stale")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["trials", "--status", "complete"], "Did you mean completed?"),
        (["trials", "--sort", "LOS"], "Did you mean LOSS?"),
        (["trials", "--limit", "0"], "--limit"),
        (["trials", "--jsn"], "Did you mean --json?"),
        (["trials", "dmo"], "Did you mean demo?"),
        (["trials", "demo/9"], "Did you mean demo/1?"),
        (["trials", "./nowhere/1"], "no run folder"),
        (["trials", "--run_dir", "elsewhere"], "--run_dir"),
        (["trials", "--db_url", "nonsense"], "--db_url"),
        (["trials", "--db_url", "sqlite:////nowhere/x.db"], "--db_url"),
        (["trials", "--db_url", f"sqlite:////tmp/{'x' * 300}.db"], "File name too long"),
        (["show"], "number of a trial"),
        (["show", "demo"], "'demo' is not the number"),
        (["show", "8"], "it has 0 to 7"),
        (["show", "demo", "3", "4"], "one word too many"),
        (["status", "demo", "3"], "one word too many"),
        (["logs", "3", "--attempt", "2"], "it has 1 to 1"),
    ],
)
def test_bad_input_is_answered_in_one_line(search: Search, words: list[str], expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        looking.run(words[0], words[1:])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_show_tells_everything_of_a_trial(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    record = data(capsys, "show", "4")
    assert (record["status"], record["reason"]) == ("FAILED", "exit code 1")
    assert [attempt["state"] for attempt in record["all_attempts"]] == ["FAILED", "FAILED"]
    text = told(capsys, "show", "demo", "4")
    assert "exit code 1" in text
    assert text.count("PROGRAM  exit code 1  -") == 2
    assert f"log: {search.run_dir}/logs/" in text


def test_a_run_folder_may_be_moved(search: Search, capsys: pytest.CaptureFixture[str]) -> None:
    search.engine.dispose()
    moved = Path("moved")
    search.run_dir.rename(moved)
    assert data(capsys, "status", "moved")["name"] == "demo"
    assert data(capsys, "show", str(moved.absolute()), "3")["trial"] == 3


def test_best_and_the_front(search: Search, capsys: pytest.CaptureFixture[str]) -> None:
    assert data(capsys, "best")["trial"] == 3
    front = data(capsys, "best", "--pareto")
    assert [row["trial"] for row in front] == [3, 1, 2]
    assert front[0]["parameters"] == {"x": 0.3, "kind": "a"}
    assert "one of 3 trials" in told(capsys, "best")
    assert told(capsys, "best", "--pareto").splitlines()[1].split() == ["3", "1.5", "1", "0.3", "a"]


def test_there_is_no_best_without_a_result(here: Path) -> None:
    search = local_search(here / "runs", name="empty")
    with pytest.raises(HeadwayError, match="no trial of empty/1 has given a result yet"):
        looking.run("best", ["empty"])
    search.engine.dispose()


@pytest.mark.parametrize(
    ("name", "words", "expected"),
    [
        ("status", ["~nouser"], "EXP: '~nouser': there is no home folder of this name"),
        ("status", ["x" * 300], "there is no run folder of this name"),
        ("status", ["--run_dir", "~nouser"], "--run_dir: '~nouser': there is no home"),
        ("list", ["--run_dir", "~nouser"], "--run_dir: '~nouser': there is no home"),
        ("list", ["--run_dir", "x" * 300], "cannot be used: File name too long"),
        ("list", ["--db_url", "@~nouser/x"], "--db_url: '~nouser/x': there is no home"),
    ],
)
def test_a_path_that_cannot_be_used_is_named(name: str, words: list[str], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        looking.run(name, words)


def test_a_folder_of_runs_that_may_not_be_read_is_not_called_empty(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "list")  # imports all, from folders that are not for everybody
    with tempfile.TemporaryDirectory() as shared:
        root, is_root = Path(shared, "runs"), os.geteuid() == 0
        Path(shared).chmod(0o755)
        root.mkdir(mode=0o311)
        if is_root:
            os.seteuid(NOBODY)
        try:
            with pytest.raises(UsageError, match=r"--run_dir: .* cannot be used: Permission d"):
                looking.run("list", ["--run_dir", str(root)])
        finally:
            if is_root:
                os.seteuid(0)


@pytest.mark.parametrize(
    "words",
    ["status >&-", "run --help >&-", "export --output closed.csv <&- >&- 2>&-", "status zzz 2>&-"],
)
def test_a_stream_that_is_closed_is_as_if_nobody_read_it(search: Search, words: str) -> None:
    command = f"'{sys.executable}' -I '{HEADWAY[2]}' {words}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (2 if "zzz" in words else 0, "")
    assert Path("closed.csv").exists() == ("closed.csv" in words)


def test_a_closed_pipe_is_quiet(search: Search) -> None:
    command = f"'{sys.executable}' -I '{HEADWAY[2]}' trials --json | head -n 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == ("[\n", "")


@pytest.mark.parametrize(("words", "code"), [("list", 0), ("run --help", 0), ("db check", 1)])
def test_a_short_output_into_a_closed_pipe_is_quiet(search: Search, words: str, code: int) -> None:
    """It waits in Python's buffer until the command ends; the exit code is the command's."""
    command = f"'{sys.executable}' -I '{HEADWAY[2]}' {words} > >(exec true); echo $?"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (result.stdout, result.stderr) == (f"{code}\n", "")


def test_a_full_disk_behind_the_output_is_one_line(search: Search) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*HEADWAY, "list"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert result.returncode == 1
    said = "headway: standard output could not be written: No space left on device\n"
    assert result.stderr == said


def test_errors_have_exit_code_2_and_one_line(search: Search) -> None:
    result = headway("show", "99")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from orchestrator.cli import looking\n"
        "try:\n    looking.run('trials', ['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'rich', 'sqlalchemy', 'pydantic', 'pandas', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    root = str(Path(__file__).parents[2])
    result = subprocess.run(
        [sys.executable, "-I", "-c", code, root], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert "headway trials first --status failed" in result.stdout


def test_experiments_are_found_in_a_database(
    search: Search, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here / "runs")
    assert data(capsys, "status", "demo", "--db_url", search.url)["run"] == 1
    (here / "url").write_text(search.url)
    assert data(capsys, "list", f"--db_url=@{here}/url")[0]["name"] == "demo"
    monkeypatch.setenv(urls.VARIABLE, search.url)
    assert data(capsys, "status")["name"] == "demo"
    with pytest.raises(UsageError, match="Did you mean demo"):
        looking.run("status", ["dem", "--db_url", search.url])


def test_runs_here_are_found_although_the_environment_names_a_database(
    search: Search, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = local_search(here / "elsewhere", name="other")
    monkeypatch.setenv(urls.VARIABLE, other.url)
    assert data(capsys, "status", "demo")["name"] == "demo"
    other.engine.dispose()


def test_without_a_name_the_run_started_last_is_meant(search: Search) -> None:
    second = local_search(Path("runs").absolute(), name="later")
    os.utime(second.run_dir / "spec.json", (time.time() + 5, time.time() + 5))
    assert places.find(None).label == "later/1"
    assert places.find("demo").label == "demo/1"
    assert places.find("demo/1").experiment_id == search.id
    second.engine.dispose()


def lock_elsewhere(search: Search) -> None:
    """Let a head on another host have the lock of a run folder."""
    holder = replace(this_process(), host="login2")
    lock = Held(holder=holder, epoch=1, since="", expire_seconds=30, nonce="n")
    assert head_lock.create(search.run_dir, lock)


def test_list_goes_on_after_a_run_whose_head_is_on_another_host(
    search: Search, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    second = local_search(Path("runs").absolute(), run_number=2)
    monkeypatch.setattr(head_lock, "is_network", lambda path: True)
    lock_elsewhere(search)
    first, other = data(capsys, "list")
    assert "its head on login2 uses it" in first["problem"]
    assert (other["run"], other["problem"]) == (2, None)
    second.engine.dispose()


def test_a_head_on_another_host_keeps_nobody_away_from_a_server(
    search: Search, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run folder lies on a network file system, the database does not."""
    monkeypatch.setattr(head_lock, "is_network", lambda path: path.is_relative_to(search.run_dir))
    lock_elsewhere(search)
    search.engine.dispose()
    (search.run_dir / "database.db").rename(here / "server.db")
    (search.run_dir / "job.json").write_text(json.dumps({"db_url": f"sqlite:///{here}/server.db"}))
    place = places.find("demo")
    assert (place.other_host, place.experiment_id) == (None, search.id)


def test_a_database_of_another_host_on_a_network_file_system_is_left_alone(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_lock, "is_network", lambda path: True)
    assert places.find("demo").other_host is None
    lock_elsewhere(search)
    place = places.find("demo")
    assert place.other_host == "login2"
    with pytest.raises(HeadAliveError, match="Look from login2"):
        places.open_place(place)
    url = f"sqlite:///{search.run_dir}/database.db"
    with pytest.raises(HeadAliveError, match="the head on login2"):
        places.find("demo", db_url=url)
    connect("sqlite:///new.db").dispose()
    for run, words in (
        (looking.run, ("list", "--db_url", url)),
        (database.run, ("db", "copy", url, "new.db")),
        (database.run, ("db", "copy", "new.db", url)),
    ):
        with pytest.raises(HeadAliveError, match="the head on login2"):
            run(words[0], list(words[1:]))
    # Nobody has renewed it for long: no head is alive, and looking is safe.
    old = time.time() - 3600
    os.utime(search.run_dir / "head.lock", (old, old))
    assert places.find("demo").other_host is None
    assert places.find("demo", db_url=url).label == "demo/1"


@pytest.mark.postgres
def test_a_run_folder_leads_to_its_server_database(
    here: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    search = Search(url=postgres_url, run_dir=here / "runs" / "served" / "1", name="served")
    search.write_documents()
    fill(search)
    assert "secret" not in (search.run_dir / "spec.json").read_text()
    assert data(capsys, "best", "served")["results"] == {"RESULT": 1.5}
    assert "secret" not in told(capsys, "status")
    assert "secret" not in repr(places.find("served"))
    (search.run_dir / "job.json").unlink()
    with pytest.raises(UsageError, match="password of its database is not known"):
        looking.run("status", ["served"])
    search.engine.dispose()
