"""The script of a head, what its jobs ask for, and when another head is needed: without a Slurm."""

from __future__ import annotations

import os
import signal
import subprocess
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db.sql import events, experiments
from db.sql.reading.reader import open_reader
from db.states import EventKind, ExperimentStatus
from orchestrator.app import head_job
from orchestrator.app.chains import as_automatic, why_over
from orchestrator.app.runs import Run, set_up
from orchestrator.cli import detaching
from orchestrator.cluster.base import Limits
from orchestrator.errors import UsageError
from orchestrator.reports.head_record import HeadJob, coming, write_record
from orchestrator.reports.snapshot import SnapshotReader
from orchestrator.spec.experiment import ExperimentSpec
from slurm_templates import HEAD
from tests.main_job.runs import wait_until
from tests.steps.specs import make_spec


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that was set up, and had no head yet."""
    return set_up(make_spec(time_limit_seconds=3600), db_url=None, run_root=tmp_path / "runs")


def log(run: Run, kind: EventKind, *, ago: timedelta = timedelta(0), **payload: Any) -> None:
    """Write an event of a head."""
    row = events.row(run.stored.id, kind, payload) | {"created_at": datetime.now(UTC) - ago}
    with run.engine.begin() as connection:
        events.append(connection, [row])


def become(run: Run, status: ExperimentStatus, reason: str | None = None) -> None:
    with run.engine.begin() as connection:
        everything = tuple(ExperimentStatus)
        experiments.set_status(
            connection, run.stored.id, status, expected=everything, reason=reason
        )


def asked(spec: ExperimentSpec, limits: Limits | None = None) -> dict[str, str]:
    return head_job.options_for(spec, Path("/runs/e/100%"), limits)


def test_a_head_goes_where_the_trials_go_but_asks_for_nothing_that_only_they_need() -> None:
    resources = {"partition": "a,b", "account": "acc", "constraint": "x", "gpus": 4, "gres": "g:1"}
    found = asked(make_spec(resources=resources | {"memory_mb": 9000, "minutes": 5}))
    assert found == {
        "job-name": "headway-e",
        "output": "/runs/e/100%%/head.out",
        "partition": "a,b",
        "account": "acc",
        "constraint": "x",
    }


@pytest.mark.parametrize(
    ("seconds", "limits", "expected"),
    [
        (None, None, None),
        (3600, None, "70"),
        (3600, Limits(minutes=30), "30"),
        (3600, Limits(minutes=None), "70"),
    ],
)
def test_its_time_is_that_of_the_search_as_far_as_the_partition_allows(
    seconds: float | None, limits: Limits | None, expected: str | None
) -> None:
    assert asked(make_spec(time_limit_seconds=seconds), limits).get("time") == expected


def test_the_site_says_what_else_a_head_wants_and_whom_slurm_writes_to() -> None:
    site = {"head_sbatch": {"partition": "long", "mem": "4G"}, "mail_user": "me@here.org"}
    found = asked(make_spec(resources={"partition": "gpu"}, site=site))
    assert (found["partition"], found["mem"]) == ("long", "4G")
    assert (found["mail-user"], found["mail-type"]) == ("me@here.org", "END,FAIL")
    assert "mail-type" not in asked(make_spec())


def test_the_script_of_a_run_is_the_template_with_its_own_options_and_names_the_run() -> None:
    options = {"time": "30", "job-name": "my head", "exclusive": ""}
    text = head_job.script_text(Path("/runs/it's/1"), options, omit=("requeue",))
    lines = text.splitlines()
    assert "#SBATCH --time=30" in lines
    assert "#SBATCH --job-name='my head'" in lines
    assert "#SBATCH --exclusive" in lines
    assert "#SBATCH --signal=B:USR1@180" in lines, "from the template"
    assert "#SBATCH --requeue" not in lines
    assert "run_dir='/runs/it'\"'\"'s/1'" in lines
    assert max(i for i, line in enumerate(lines) if line.startswith("#SBATCH ")) < lines.index(
        "set -u"
    ), "sbatch reads no option after the first command"


@pytest.mark.parametrize("omit", [(), ("requeue", "signal", "open-mode")])
def test_bash_understands_it(tmp_path: Path, omit: tuple[str, ...]) -> None:
    script = tmp_path / "head.sbatch"
    script.write_text(head_job.script_text(tmp_path, {}, omit=omit))
    for path in (HEAD, script):
        done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def command(folder: Path, name: str, *lines: str) -> None:
    path = folder / name
    path.write_text("\n".join(("#!/bin/bash", *lines, "")))
    path.chmod(0o700)


# Whoever the head is told to go by, it takes a moment; what it ends with is in the file `code`.
HEAD_LINES = (
    "trap 'touch left; exit $(<code)' TERM",
    "touch leads",
    "while :; do /bin/sleep 0.1; done",
)
# The jobs of this user are as many as there may be, as long as the head submits more.
FULL = '[ -e left ] || { echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2; exit 1; }'


@pytest.mark.parametrize(("code", "follows"), [("130", True), ("0", False)])
def test_a_head_whose_next_job_is_refused_makes_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, *, follows: bool
) -> None:
    command(tmp_path, "headway", *HEAD_LINES)
    (tmp_path / "code").write_text(code)
    command(tmp_path, "sbatch", FULL, "[ $(<code) -ne 0 ] || exit 1", "env >asked", "echo 8")
    command(tmp_path, "sleep", "exec /bin/sleep 0.3")
    (tmp_path / "head.sbatch").write_text(head_job.script_text(tmp_path, {}, omit=()))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("HEADWAY", str(tmp_path / "headway"))
    monkeypatch.setenv("HEADWAY_DB_URL", "postgresql://me:secret@host/name")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    words = ["bash", "head.sbatch", "continue"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as job:
        wait_until((tmp_path / "leads").exists)
        job.send_signal(signal.SIGUSR1)
        said = job.communicate(timeout=60)[1]
    assert "the next job was not accepted: sbatch: error: QOSMaxSubmitJobPerUserLimit" in said
    assert "given up" not in said
    assert job.returncode == 0
    assert (tmp_path / "head.next").exists() == (tmp_path / "asked").exists() == follows
    assert not follows or "secret" not in (tmp_path / "asked").read_text()


@pytest.mark.parametrize(("is_automatic", "words"), [(True, ["continue"]), (False, [])])
def test_only_a_person_lets_the_job_of_a_head_go_on_with_what_has_ended_before_it_began(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_automatic: bool,
    words: list[str],
) -> None:
    command(tmp_path, "sbatch", 'echo "${@:3}" >asked', "echo 7")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    detaching._submit(replace(run, is_resumed=True, is_automatic=is_automatic), None)
    assert (tmp_path / "asked").read_text().split() == words


def test_a_search_without_slurm_gets_no_head_that_is_a_job(run: Run) -> None:
    local = replace(run, spec=make_spec(executor="local"))
    asked = Namespace(head="slurm", max_eval=None, num_parallel_jobs=None)
    with pytest.raises(UsageError, match="slurm makes no sense for trials that run without Slurm"):
        detaching.resume_elsewhere(local, asked)


def test_only_the_job_itself_is_asked_for_its_run_folder() -> None:
    told = {"HEAD_JOB_OF_HEADWAY": "7"}
    assert head_job.this_job({**told, "SLURM_JOB_ID": "7"}) == "7"
    assert head_job.this_job({**told, "SLURM_JOB_ID": "8"}) is None, "a trial has inherited it"
    assert head_job.this_job(told) is None


def test_a_job_that_slurm_has_requeued_finds_the_run_that_it_has_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, job in (("1", "7"), ("2", "9"), ("3", "7")):
        folder = tmp_path / "e" / number
        folder.mkdir(parents=True)
        write_record(folder, HeadJob(job_id=job))
        os.utime(folder / "head.job", (int(number), int(number)))
    assert head_job.find_own_run(tmp_path, "e", "7") is None, "it runs for the first time"
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert head_job.find_own_run(tmp_path, "e", "7") == tmp_path / "e" / "3"
    assert head_job.find_own_run(tmp_path, "e", "8") is None
    (tmp_path / "e" / "3" / "head.job").write_text("torn")
    assert head_job.find_own_run(tmp_path, "e", "7") == tmp_path / "e" / "1"


@pytest.mark.parametrize(
    ("happens", "over"),
    [
        (lambda run: None, None),
        (lambda run: become(run, ExperimentStatus.FINISHED), "it has finished"),
        (lambda run: become(run, ExperimentStatus.STOPPED, "by me"), "stopped it: by me"),
        (lambda run: become(run, ExperimentStatus.FAILED, "all fail"), "it was ended: all fail"),
        (lambda run: log(run, EventKind.STOP, how="STOPPED"), "a person has stopped it"),
        (lambda run: log(run, EventKind.STOP, how="TIME"), "its time was over"),
        (lambda run: log(run, EventKind.STOP, how="LEFT"), None),
    ],
)
def test_another_head_is_needed_only_if_the_last_one_was_cut_off(
    run: Run, happens: Callable[[Run], None], over: str | None
) -> None:
    happens(run)
    found = why_over(run)
    assert found is None if over is None else over in str(found)


def test_what_an_earlier_head_was_asked_counts_no_more_after_a_resume(run: Run) -> None:
    log(run, EventKind.STOP, how="STOPPED")
    log(run, EventKind.RESUME, automatic=False)
    assert why_over(run) is None


def test_heads_that_follow_one_another_share_the_time_of_the_search(run: Run) -> None:
    assert as_automatic(run).seconds_left == 3600, "no head has begun"
    log(run, EventKind.ASK, ago=timedelta(minutes=40))
    log(run, EventKind.RESUME, ago=timedelta(minutes=5), automatic=True)
    assert as_automatic(run).seconds_left == pytest.approx(1200, abs=60)
    log(run, EventKind.RESUME, ago=timedelta(minutes=1), automatic=False)
    assert as_automatic(run).seconds_left == pytest.approx(3540, abs=60), "a person went on"
    endless = replace(run, spec=make_spec())
    assert as_automatic(endless).seconds_left is None


def test_people_are_told_which_job_is_to_lead_a_search_that_nobody_leads(run: Run) -> None:
    with open_reader(run.db_url) as reader:
        snapshots = SnapshotReader(reader, run.stored.id)
        assert coming(snapshots.read()) is None
        write_record(run.run_dir, HeadJob(job_id="7"))
        assert "job 7 is to lead it and has not begun" in str(coming(snapshots.read()))
        become(run, ExperimentStatus.INTERRUPTED)
        assert coming(snapshots.read()) is None
        (run.run_dir / "head.next").write_text("8\n")
        assert "job 8 goes on with it: squeue -j 8" in str(coming(snapshots.read()))
        become(run, ExperimentStatus.FINISHED)
        assert coming(snapshots.read()) is None
