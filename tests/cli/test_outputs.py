"""`--output`: the answer of a command as a whole file, in the form that its name says."""

from __future__ import annotations

import csv
import io
import json
import resource
import subprocess
from pathlib import Path

import pytest

from orchestrator.cli.commands import dispatch
from orchestrator.errors import UsageError
from tests.cli.commands import headway
from tests.main_job.runs import HEADWAY
from tests.reports.searches import Search

pytestmark = pytest.mark.usefixtures("search")
COMMANDS = (
    "list",
    "status",
    "trials",
    "show 4",
    "best",
    "best --pareto",
    "hosts",
    "why 4",
    "db info",
    "db check",
    "db upgrade",
    "generators",
)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    dispatch(list(words))
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_holds_what_the_screen_would(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.split()
    for ending, more in ((".txt", []), (".json", ["--json"])):
        target = Path(f"answer{ending}").resolve()
        assert printed(capsys, *words, "--output", target.name) == f"{target}\n"
        told = printed(capsys, *words, *more)
        # An age in seconds is another one a moment later.
        assert len(target.read_text().splitlines()) == len(told.splitlines())
    assert json.loads(Path("answer.json").read_text())


def table(capsys: pytest.CaptureFixture[str], *words: str) -> list[dict[str, str]]:
    printed(capsys, *words, "--output", "answer.csv")
    return list(csv.DictReader(io.StringIO(Path("answer.csv").read_text())))


def test_csv_of_trials_has_a_column_for_each_value(capsys: pytest.CaptureFixture[str]) -> None:
    rows = table(capsys, "trials", "--sort", "LOSS")
    assert [row["trial"] for row in rows[:2]] == ["3", "1"]
    assert (rows[0]["x"], rows[0]["kind"], rows[0]["LOSS"], rows[0]["colour"]) == (
        *("0.3", "a", "1.5"),
        "c3",
    )
    assert rows[0]["created_at"] == "2026-03-01T12:00:00.000000+00:00"
    assert rows[-1]["LOSS"] == ""
    assert table(capsys, "trials", "--status", "stale") == []
    assert Path("answer.csv").read_text().startswith("trial,status,generator,host,")


def test_csv_has_objects_and_lists_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = table(capsys, "list")
    assert json.loads(row["best"]) == {"LOSS": 1.5, "SPEED": 1.0}
    assert (row["completed"], row["ended_at"]) == ("4", "")
    hosts = {row["host"]: row for row in table(capsys, "hosts")}
    assert json.loads(hosts["node5"]["failed"]) == {"PROGRAM": 2}
    assert [row["trial"] for row in table(capsys, "best", "--pareto")] == ["3", "1", "2"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--output", "x.xls"], "'x.xls' does not say the form; give a name that ends in .json"),
        (["--output", "x.jsn"], "Did you mean .json?"),
        (["--output", "nowhere/x.json"], "there is no folder"),
        (["--output", "x.csv", "--json"], "ends in .csv, but --json was given"),
        (["--output", "/dev/null", "--json"], "no plain file"),
        (["--output", ""], "no name of a file"),
        (["--output", "runs/demo/1/spec.json"], "is a run folder"),
        (["--output", "link.json"], "is a run folder"),
        (["--output", "~nobodyhere/x.json"], "there is no home folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_bad_input(words: list[str], expected: str) -> None:
    Path("link.json").symlink_to("runs/demo/1/spec.json")
    before = sorted(Path().rglob("*"))
    with pytest.raises(UsageError, match=r"^--output: ") as caught:
        dispatch(["status", *words])
    assert expected in str(caught.value)
    assert sorted(Path().rglob("*")) == before


def test_an_answer_that_fails_leaves_the_older_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("answer.json").write_text("older")
    with pytest.raises(UsageError, match="it has 0 to 7"):
        dispatch(["show", "99", "--output", "answer.json"])
    assert Path("answer.json").read_text() == "older"
    printed(capsys, "show", "4", "--output", "answer.json")
    assert json.loads(Path("answer.json").read_text())["trial"] == 4


def test_the_exit_code_stays_that_of_the_answer(search: Search) -> None:
    done = headway("db", "check", "--output", "check.json")
    assert done.returncode == 1
    assert json.loads(Path("check.json").read_text())["breaches"]


def test_a_disk_without_room_is_one_line_and_leaves_nothing() -> None:
    def few_bytes() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    done = subprocess.run(
        # -B: Python would leave compiled modules that are cut off at the limit.
        [*HEADWAY[:2], "-B", HEADWAY[2], "trials", "--output", "trials.json"],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=few_bytes,
    )
    assert done.returncode == 1
    assert "--output: " in done.stderr
    assert "could not be written: File too large" in done.stderr
    assert not list(Path().glob("*trials.json*"))
