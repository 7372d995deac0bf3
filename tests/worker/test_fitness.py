"""A worker looks around before it claims, and runs the same thing wherever it is."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from db.spool import layout
from tests.worker.runs import TOKEN, Run
from worker.fitness import start_delay


def offers(run: Run) -> list[str]:
    return [path.name for path in Path(layout.part(run.spool, layout.ASSIGNMENTS)).iterdir()]


@pytest.mark.parametrize(
    ("job", "text"),
    [
        ({"python": "2.7"}, "and 2.7 where the head runs"),
        ({"protocol": 0}, "the head 0): was Headway exchanged"),
        ({"working_folder": "/nowhere/at/all"}, "/nowhere/at/all"),
    ],
)
def test_a_worker_that_does_not_fit_says_so_and_claims_nothing(
    run: Run, job: dict[str, Any], text: str
) -> None:
    run.change(program=f"touch {run.folder}/ran", **job)
    run.assign()
    assert run.work() == 0
    (message,) = run.messages("END")
    payload = message["payload"]
    assert (payload["cause"], payload["is_unfit"]) == ("NOT_STARTED", True)
    assert (payload["submission_token"], payload["array_index"]) == (TOKEN, 0)
    assert text in payload["problems"][0]
    assert text.encode() in run.log()
    assert offers(run) == [f"{TOKEN}_0.json"], "it can still be claimed elsewhere"
    assert run.messages("START") == []
    assert not (run.folder / "ran").exists()


def test_a_worker_says_so_that_meets_the_job_of_an_older_headway(run: Run) -> None:
    older = {key: value for key, value in run.job.items() if key not in {"protocol", "python"}}
    (run.folder / "job.json").write_text(json.dumps(older))
    run.assign()
    assert run.work() == 0
    assert run.ending()["is_unfit"]
    assert b"was Headway exchanged" in run.log()


def test_a_run_folder_that_cannot_be_read_is_one_line(run: Run) -> None:
    (run.folder / "job.json").write_text("{")
    assert run.work() == 1
    assert b"the run folder cannot be read on" in run.log()
    assert b"Traceback" not in run.log()


@pytest.fixture
def latin_1(tmp_path: Path) -> str:
    """A folder with a locale whose file names are not UTF-8."""
    folder = tmp_path / "locales"
    folder.mkdir()
    command = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(folder / "de_DE.ISO-8859-1")]
    try:
        done = subprocess.run(command, capture_output=True)
    except FileNotFoundError:
        pytest.skip("localedef is not installed")
    if done.returncode:
        pytest.skip("localedef finds no sources of locales")
    return str(folder)


SURROUNDINGS: list[dict[str, str]] = [
    {},
    {"TZ": "Pacific/Kiritimati"},
    {"TZ": ":/nonsense"},
    {"USER": "", "HOME": "", "LOGNAME": ""},
    {"LC_ALL": "C"},
    {"LC_ALL": "de_DE.ISO-8859-1", "LANG": "de_DE.ISO-8859-1"},
]


def test_results_are_the_same_whatever_the_surroundings_are(tmp_path: Path, latin_1: str) -> None:
    folder = tmp_path / "Läufe €"
    folder.mkdir()
    run = Run(folder)
    run.change(
        program='echo "OO-Info: text: grün € %(x)"; echo "OO-Info: f: $PWD"; echo RESULT: %(y)'
    )
    for index, environ in enumerate(SURROUNDINGS):
        run.assign(index, x="ä b", y=0.1)
        assert run.work(index, environ={**environ, "LOCPATH": latin_1}) == 0, run.log(index)
    ends = run.messages("END")
    assert len(ends) == len(SURROUNDINGS)
    for end in ends:
        assert end["payload"]["results"] == {"RESULT": 0.1}
        assert end["payload"]["infos"] == {"text": "grün € ä b", "f": str(folder)}
    hours = {datetime.fromisoformat(end["created_at"]).timestamp() // 3600 for end in ends}
    assert max(hours) - min(hours) <= 1, "all times are in UTC"


def test_a_program_sees_no_locale_that_python_has_made_up(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    ending = run.try_program('echo "OO-Info: seen: ${LC_CTYPE:-none}"')
    assert ending["infos"] == {"seen": "none"}


def test_a_users_own_locale_is_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_CTYPE", "C.UTF-8")
    ending = run.try_program('echo "OO-Info: seen: ${LC_CTYPE:-none}"')
    assert ending["infos"] == {"seen": "C.UTF-8"}


def test_the_tasks_of_a_large_array_do_not_come_in_one_moment() -> None:
    delays = [start_delay({"SLURM_ARRAY_TASK_COUNT": "200"}) for _ in range(200)]
    assert len(set(delays)) > 100
    assert 0 <= min(delays) < 0.5 < max(delays) <= 1
    assert max(start_delay({"SLURM_ARRAY_TASK_COUNT": "100000"}) for _ in range(200)) <= 2


@pytest.mark.parametrize("environ", [{}, {"SLURM_ARRAY_TASK_COUNT": "16"}])
def test_a_task_of_a_small_array_starts_at_once(environ: dict[str, str]) -> None:
    assert start_delay(environ) == 0
