"""The main job on a real Slurm: every trial once, with the parameters on record."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql.engine import make_engine
from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, Started, lines_of, longest_gap, wait_until

TRIALS = 60
SLOTS = 12
# Of a run that takes twenty seconds: a head that waits for a whole batch stands idle for longer.
HANGS_SECONDS = 5.0
SEEN = "seen.txt"
PROGRAM = (
    "sleep $(( RANDOM % 2 )).$(( RANDOM % 9 + 1 )); "
    'echo "$HEADWAY_TRIAL|%(x)|%(kind)|${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}'
    '|${SLURM_ARRAY_TASK_ID:--}|$SLURMD_NODENAME" >> seen.txt; '
    "echo LOSS: %(x); echo SCORE: $(( RANDOM ))"
)
COMMAND = (
    *("run", "--experiment_name", "sixty", "--partition", "alpha", "--mem_gb", "0.1"),
    *("--worker_timeout", "2", "--max_eval", str(TRIALS), "--num_parallel_jobs", str(SLOTS)),
    *("--num_random_steps", "20", "--model", "TPE", "--seed", "1"),
    *("--parameter", "x", "range", "1e-3", "10", "float", "LOG", "true"),
    *("--parameter", "kind", "choice", "a b,it's,$HOME;"),
    *("--result_names", "LOSS=min", "SCORE=max", "--run_program", PROGRAM),
)


@pytest.mark.postgres
def test_sixty_trials_run_once_each_and_are_what_slurm_says(
    login_node: Place, slurm_cluster: PrivateSlurm, postgres_url: str
) -> None:
    output = login_node.run(*COMMAND, "--db_url", postgres_url)
    assert "60 completed" in output
    attempts: list[dict[str, Any]] = [dict(row) for row in _attempts(postgres_url)]
    assert len(attempts) == TRIALS
    assert {row["state"] for row in attempts} == {"SUCCEEDED"}
    assert {row["number"] for row in attempts} == {1}
    assert {row["outcomes"] for row in attempts} == {2}
    assert len({row["slurm_job_id"] for row in attempts}) == TRIALS
    _assert_parameters_are_those_that_ran(login_node, attempts)
    _assert_accounting_agrees(slurm_cluster, attempts)
    starts = [_seconds(row["measured"]["program_started_at"]) for row in attempts]
    ends = [_seconds(row["measured"]["program_ended_at"]) for row in attempts]
    handed = [row["submitted_at"].timestamp() for row in attempts]
    gap = longest_gap(starts, ends, SLOTS)
    # Slurm starts a job in its own rounds, about one a second: the second figure is without them.
    print(f"longest idle time of a slot while trials remained: {gap:.2f} s")
    print(
        f"the same until the next job was handed to Slurm: {longest_gap(handed, ends, SLOTS):.2f} s"
    )
    assert gap < HANGS_SECONDS


def _attempts(url: str) -> list[sa.RowMapping]:
    query = sa.text(
        "SELECT t.index, t.status, t.parameters, a.state, a.number, a.slurm_job_id, a.host,"
        " a.submitted_at, a.measured, (SELECT count(*) FROM outcome o WHERE o.trial_id = t.id) AS outcomes"
        " FROM trial t JOIN attempt a ON a.trial_id = t.id ORDER BY t.index"
    )
    engine = make_engine(url)
    with engine.connect() as connection:
        rows = list(connection.execute(query).mappings())
    engine.dispose()
    return rows


def _assert_parameters_are_those_that_ran(place: Place, attempts: list[dict[str, object]]) -> None:
    seen = {}
    for line in lines_of(place.folder / SEEN):
        trial, x, kind, job, task, node = line.split("|")
        seen[int(trial)] = (float(x), kind, job if task == "-" else f"{job}_{task}", node)
    recorded = {
        row["index"]: (
            row["parameters"]["x"],  # type: ignore[index]
            row["parameters"]["kind"],  # type: ignore[index]
            row["slurm_job_id"],
            row["host"],
        )
        for row in attempts
    }
    assert seen == recorded


def _assert_accounting_agrees(cluster: PrivateSlurm, attempts: list[dict[str, object]]) -> None:
    recorded = {row["slurm_job_id"]: row["host"] for row in attempts}

    def accounted() -> dict[str, str]:
        words = ("sacct", "-X", "-n", "-P", "--format=JobID,NodeList,State,JobName")
        rows = (line.split("|") for line in cluster.run(*words).stdout.splitlines())
        return {
            job: node
            for job, node, state, name in rows
            if name.startswith("hw-sixty-") and state == "COMPLETED" and job in recorded
        }

    # The accounting is seconds behind.
    wait_until(lambda: accounted() == recorded, seconds=30)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_only_the_head_opens_the_sqlite_file(login_node: Place) -> None:
    started = login_node.start(*COMMAND)
    database = login_node.folder / "runs" / "sixty" / "1" / "database.db"
    users: set[int] = set()
    for found in _users_while_running(started, database):
        users |= found
    code, output = started.wait()
    assert code == 0, output
    assert users == {started.process.pid}
    assert len(login_node.results("sixty")) == TRIALS
    seen = [int(line.split("|")[0]) for line in lines_of(login_node.folder / SEEN)]
    assert sorted(seen) == list(range(TRIALS))
    assert login_node.rows("sixty", "SELECT count(*) FROM report WHERE kind = 'END'") == [(60,)]


def _users_while_running(started: Started, database: Path) -> Iterator[set[int]]:
    """Ask again and again which processes have the database open."""
    wait_until(database.exists)
    while started.process.poll() is None:
        listed = subprocess.run(
            ["lsof", "-t", database, f"{database}-wal", f"{database}-shm"],
            capture_output=True,
            text=True,
        )
        yield {int(pid) for pid in listed.stdout.split()}


def test_the_example_of_omniopt_runs_unchanged_but_for_the_model(login_node: Place) -> None:
    _run_example(login_node, "TPE", seconds=60)


@pytest.mark.botorch
@pytest.mark.timeout(900)
def test_the_example_of_omniopt_runs_with_its_own_model(login_node: Place) -> None:
    _run_example(login_node, "BOTORCH_MODULAR", seconds=600)
    generators = {row["generator"] for row in login_node.results("ExampleDatabase")}
    assert "BOTORCH_MODULAR" in generators


def _run_example(login_node: Place, model: str, *, seconds: float) -> None:
    """Run the command of OmniOpt2's documentation with a program of the same command line."""
    (login_node.folder / ".tests").mkdir()
    login_node.script(
        ".tests/optimization_example",
        ['printf "%s\\n" "$#" "$@" >> arguments.txt', 'echo "RESULT: 2.5"'],
    )
    words = shlex.split(EXAMPLE.replace("\\\n", " "))[1:]
    words[words.index("BOTORCH_MODULAR")] = model
    output = login_node.run("run", *words, seconds=seconds)
    assert "4 completed" in output
    for option in ("--live_share", "--send_anonymized_usage_stats", "--generate_all_jobs_at_once"):
        assert sum(f"note: {option}:" in line for line in output.splitlines()) == 1
    rows = login_node.results("ExampleDatabase")
    assert [row["RESULT"] for row in rows] == ["2.5"] * 4
    assert all(20 * int(row["int_param"]) >= 100 for row in rows)
    given = lines_of(login_node.folder / "arguments.txt")
    assert given.count("5") >= 4
    for row in rows:
        for name in ("int_param", "float_param", "choice_param", "int_param_two"):
            assert f"--{name}={row[name]}" in given


def test_a_dry_run_prints_the_script_and_submits_nothing(
    login_node: Place, slurm_cluster: PrivateSlurm
) -> None:
    before = slurm_cluster.run("squeue", "-h", "-t", "all", "-o", "%i").stdout
    output = login_node.run(*COMMAND, "--dryrun")
    assert "#SBATCH --partition=alpha" in output
    assert "exec " in output
    assert not (login_node.folder / "runs").exists()
    assert slurm_cluster.run("squeue", "-h", "-t", "all", "-o", "%i").stdout == before


@pytest.mark.postgres
def test_the_password_is_nowhere_but_in_the_job_file(
    login_node: Place, slurm_cluster: PrivateSlurm, postgres_url: str
) -> None:
    secret = sa.make_url(postgres_url).password
    assert secret is not None
    words = [*COMMAND, "--max_eval", "4"]
    place = Place(login_node.folder, {**login_node.environment, "HEADWAY_DB_URL": postgres_url})
    output = place.run(*words)
    assert secret not in output
    run_dir = place.folder / "runs" / "sixty" / "1"
    holding = {
        path.name
        for path in run_dir.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    }
    assert holding == {"job.json"}
    assert (run_dir / "job.json").stat().st_mode & 0o077 == 0
    engine = make_engine(postgres_url)
    with engine.connect() as connection:
        spec = connection.execute(sa.text("SELECT spec FROM experiment")).scalar_one()
        events = connection.execute(sa.text("SELECT payload FROM event")).scalars().all()
    engine.dispose()
    assert secret not in json.dumps([spec, *events])


EXAMPLE = r"""./omniopt \
	--live_share \
	--send_anonymized_usage_stats \
	--partition alpha \
	--experiment_name ExampleDatabase \
	--mem_gb=4 \
	--time 60 \
	--worker_timeout=5 \
	--max_eval 4 \
	--num_parallel_jobs 2 \
	--gpus 0 \
	--run_program Li8udGVzdHMvb3B0aW1pemF0aW9uX2V4YW1wbGUgIC0taW50X3BhcmFtPSclKGludF9wYXJhbSknIC0tZmxvYXRfcGFyYW09JyUoZmxvYXRfcGFyYW0pJyAtLWNob2ljZV9wYXJhbT0nJShjaG9pY2VfcGFyYW0pJyAtLWludF9wYXJhbV90d289JyUoaW50X3BhcmFtX3R3byknIC0tbnJfcmVzdWx0cz0x \
	--parameter int_param range -100 10 int \
	--parameter float_param range -100 10 float \
	--parameter choice_param choice 1,2,4,8,16,hallo \
	--parameter int_param_two range -100 10 int \
	--num_random_steps 2 \
	--model BOTORCH_MODULAR \
	--auto_exclude_defective_hosts \
	--generate_all_jobs_at_once \
	--follow \
	--experiment_constraints MjAqaW50X3BhcmFtID49IDEwMAo= \
	--show_generate_time_table
"""
