"""The private services do what they say."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest

from tests.cluster import postgres
from tests.cluster.daemons import ServiceError, running_daemons, wait_until
from tests.cluster.fixtures import require_programs
from tests.cluster.layout import prepare
from tests.cluster.postgres import PrivatePostgres
from tests.cluster.processes import all_processes
from tests.cluster.slurm import PrivateSlurm, SlurmSettings, required_programs

QUICK_DEATH = ("SlurmdTimeout=3", "MessageTimeout=3")
TINY = SlurmSettings(nodes=1, accounting=False)


def wait_for(condition: Callable[[], bool], *, timeout_seconds: float = 30) -> None:
    assert wait_until(condition, timeout_seconds=timeout_seconds)


def submit(cluster: PrivateSlurm, *words: str) -> str:
    return cluster.run("sbatch", "--parsable", *words).stdout.strip()


def wait_for_end(cluster: PrivateSlurm, job: str) -> None:
    wait_for(lambda: not cluster.run("squeue", "--noheader", "--jobs", job).stdout.strip())


def job_states(cluster: PrivateSlurm, job: str) -> list[str]:
    answer = cluster.run("sacct", "-X", "--noheader", "--format=State", "--jobs", job)
    return answer.stdout.split()


def output(cluster: PrivateSlurm, job: str) -> str:
    return (cluster.folder / "work" / f"slurm-{job}.out").read_text()


def node_state(cluster: PrivateSlurm, node: str) -> str:
    return cluster.run("sinfo", "--noheader", "--nodes", node, "--format=%t").stdout.split()[0]


def processes_that_name(folder: Path) -> list[str]:
    commands = []
    for process in all_processes():
        try:
            text = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in text or str(folder) in process.environment().values():
            commands.append(text)
    return commands


@pytest.fixture(scope="module")
def small_cluster() -> Iterator[PrivateSlurm]:
    settings = SlurmSettings(nodes=2, accounting=False, extra_lines=QUICK_DEATH)
    require_programs("Slurm", required_programs(settings))
    with PrivateSlurm(settings) as cluster:
        yield cluster


def test_a_job_completes_and_knows_its_node(slurm_cluster: PrivateSlurm) -> None:
    job = submit(slurm_cluster, "--nodelist=node3", "--wrap", "echo $SLURMD_NODENAME")
    wait_for_end(slurm_cluster, job)
    assert output(slurm_cluster, job).split() == ["node3"]


def test_accounting_agrees_on_every_task_of_an_array(slurm_cluster: PrivateSlurm) -> None:
    job = submit(slurm_cluster, "--array=0-19", "--output=/dev/null", "--wrap", "true")
    wait_for_end(slurm_cluster, job)
    # The controller hands its records on in heaps, every five seconds.
    wait_for(lambda: job_states(slurm_cluster, job) == ["COMPLETED"] * 20)


def test_jobs_side_by_side_get_different_gpus(slurm_cluster: PrivateSlurm) -> None:
    script = "echo $CUDA_VISIBLE_DEVICES; sleep 2"
    words = ("--gpus-per-node=1", "--nodelist=node1", "--wrap", script)
    jobs = [submit(slurm_cluster, *words) for _ in range(2)]
    for job in jobs:
        wait_for_end(slurm_cluster, job)
    assert {output(slurm_cluster, job).strip() for job in jobs} == {"0", "1"}


def test_small_jobs_share_a_node(slurm_cluster: PrivateSlurm) -> None:
    words = ("--nodelist=node2", "--output=/dev/null", "--wrap", "sleep 30")
    jobs = [submit(slurm_cluster, *words) for _ in range(4)]
    query = ("squeue", "--noheader", "--states=R", "--jobs", ",".join(jobs))
    try:
        wait_for(lambda: len(slurm_cluster.run(*query).stdout.splitlines()) == 4)
    finally:
        slurm_cluster.run("scancel", *jobs)


def test_both_partitions_have_all_nodes(slurm_cluster: PrivateSlurm) -> None:
    answer = slurm_cluster.run("sinfo", "--noheader", "--format=%P %D %c %m %G").stdout
    assert {tuple(line.split()) for line in answer.splitlines()} == {
        ("alpha*", "8", "4", "8000", "gpu:2"),
        ("beta", "8", "4", "8000", "gpu:2"),
    }


@pytest.mark.slurm
@pytest.mark.slow
def test_a_dead_node_goes_down_and_comes_back(small_cluster: PrivateSlurm) -> None:
    mark = f"{small_cluster.folder}/outlives-its-job"
    # The second process leaves the job's process tree, as a badly written program does.
    script = f"setsid --fork sh -c 'sleep 301; : {mark}'; sleep 300"
    job = submit(small_cluster, "--no-requeue", "--nodelist=node2", "--wrap", script)
    wait_for(lambda: any(mark in text for text in processes_that_name(small_cluster.folder)))
    small_cluster.stop_node("node2")
    assert not any(mark in text for text in processes_that_name(small_cluster.folder))
    wait_for(lambda: node_state(small_cluster, "node2").startswith("down"), timeout_seconds=40)
    wait_for(lambda: "NODE_FAIL" in small_cluster.run("scontrol", "show", "job", job).stdout)
    assert node_state(small_cluster, "node1").startswith("idle")
    small_cluster.start_node("node2")
    small_cluster.wait_ready()
    assert node_state(small_cluster, "node2").startswith("idle")


@pytest.mark.slurm
@pytest.mark.slow
def test_a_job_outlives_a_restart_of_the_controller(small_cluster: PrivateSlurm) -> None:
    job = submit(small_cluster, "--output=/dev/null", "--wrap", "sleep 1.5")
    small_cluster.stop_controller()
    # It would try again for nine seconds before it gives up.
    assert small_cluster.run("timeout", "0.5", "squeue", check=False).returncode == 124
    small_cluster.start_controller()
    small_cluster.wait_ready()
    wait_for(lambda: "COMPLETED" in small_cluster.run("scontrol", "show", "job", job).stdout)


@pytest.mark.slurm
def test_a_frozen_controller_answers_once_it_is_thawed(small_cluster: PrivateSlurm) -> None:
    small_cluster.freeze_controller()
    started = time.monotonic()
    answer = small_cluster.run("timeout", "0.5", "squeue", check=False)
    assert answer.returncode == 124
    assert time.monotonic() - started >= 0.5
    small_cluster.thaw_controller()
    small_cluster.run("squeue")


@pytest.mark.slurm
def test_without_accounting_sacct_refuses(small_cluster: PrivateSlurm) -> None:
    assert "disabled" in small_cluster.run("sacct", check=False).stderr


def test_two_clusters_do_not_see_each_other(
    slurm_cluster: PrivateSlurm, small_cluster: PrivateSlurm
) -> None:
    submit(small_cluster, "--output=/dev/null", "--job-name=beside", "--wrap", "sleep 5")
    assert "beside" in small_cluster.run("squeue", "--format=%j").stdout
    assert "beside" not in slurm_cluster.run("squeue", "--format=%j").stdout


@pytest.mark.slurm
def test_stop_leaves_no_process_behind_even_if_only_the_folder_is_known() -> None:
    require_programs("Slurm", required_programs(TINY))
    cluster = PrivateSlurm(TINY)
    cluster.start()
    folder = cluster.folder
    submit(cluster, "--output=/dev/null", "--wrap", "sleep 300")
    wait_for(lambda: bool(cluster.run("squeue", "--noheader", "--states=R").stdout))
    PrivateSlurm.load(folder).stop()
    assert not processes_that_name(folder)
    assert not cluster.is_running()
    cluster.stop()
    cluster.stop()
    assert not folder.exists()


@pytest.mark.slurm
def test_a_folder_is_not_taken_from_what_runs_there(small_cluster: PrivateSlurm) -> None:
    with pytest.raises(ServiceError, match="already run"):
        PrivateSlurm(TINY, small_cluster.folder).start()


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ServiceError, match=r"not empty|too long"):
        prepare(tmp_path, TINY)
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.slurm
def test_a_failed_start_shows_the_end_of_the_log() -> None:
    require_programs("Slurm", required_programs(TINY))
    settings = replace(TINY, extra_lines=("SelectType=select/nonsense",))
    cluster = PrivateSlurm(settings)
    with pytest.raises(ServiceError, match="select/nonsense"):
        cluster.start()
    assert not running_daemons(cluster.folder)
    cluster.stop()


def test_a_clone_has_what_the_template_has_and_nothing_else(
    postgres_server: PrivatePostgres,
) -> None:
    def build(url: str) -> None:
        name = url.rpartition("/")[2]
        postgres_server.execute("CREATE TABLE filled AS SELECT 7 AS number", database=name)

    template = postgres_server.template(build)
    first, second = (postgres_server.clone(template).rpartition("/")[2] for _ in range(2))
    postgres_server.execute("DELETE FROM filled", database=first)
    assert postgres_server.execute("SELECT count(*) FROM filled", database=first) == "0"
    assert postgres_server.execute("SELECT number FROM filled", database=second) == "7"


def test_a_commit_survives_an_immediate_restart(
    postgres_server: PrivatePostgres, postgres_url: str
) -> None:
    def query(statement: str) -> list[tuple[object, ...]]:
        opened = contextlib.closing(psycopg2.connect(postgres_url))
        with opened as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    query("CREATE TABLE kept (number int); INSERT INTO kept VALUES (7) RETURNING number")
    postgres_server.restart("immediate")
    assert query("SELECT number FROM kept") == [(7,)]
    assert postgres_server.execute("SHOW fsync") == "on"


def test_a_wrong_password_is_refused(postgres_url: str) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(postgres_url.replace(":secret@", ":wrong@"))


@pytest.mark.slurm
@pytest.mark.postgres
@pytest.mark.slow
def test_a_person_starts_and_stops_both_from_the_command_line() -> None:
    require_programs("Slurm", (*required_programs(SlurmSettings()), *postgres.PROGRAMS))
    # Not tmp_path: the accounts mysql and postgres could not reach it.
    above = Path(tempfile.mkdtemp(prefix="headway-", dir="/tmp"))
    above.chmod(0o755)
    folder = above / "both"

    def call(word: str) -> subprocess.CompletedProcess[str]:
        options = ("--folder", str(folder), "--nodes", "1", "--postgres")
        command = (sys.executable, "-m", "tests.cluster", word, *options)
        return subprocess.run(command, capture_output=True, text=True, check=False)

    try:
        first, second = call("start"), call("start")
        assert not first.returncode, first.stderr
        assert first.stdout == second.stdout
        lines = first.stdout.splitlines()
        assert lines[0] == f"export SLURM_CONF={folder}/slurm/slurm.conf"
        assert lines[1].startswith("export HEADWAY_DB_URL=postgresql://headway:secret@127.0.0.1:")
        assert call("status").returncode == 0
    finally:
        assert call("stop").returncode == 0
    assert call("status").returncode == 1
    assert not processes_that_name(folder)
    shutil.rmtree(above)


@pytest.mark.parametrize(
    ("variables", "outcome"),
    [
        ({}, pytest.skip.Exception),
        ({"CI": "false"}, pytest.skip.Exception),
        ({"CI": "1"}, pytest.fail.Exception),
        ({"HEADWAY_REQUIRE_SERVICES": "1"}, pytest.fail.Exception),
    ],
)
def test_a_missing_service_fails_in_ci_and_skips_elsewhere(
    variables: dict[str, str],
    outcome: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("CI", "HEADWAY_REQUIRE_SERVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(outcome, match="no-such-program"):
        require_programs("Nothing", ["no-such-program"])
