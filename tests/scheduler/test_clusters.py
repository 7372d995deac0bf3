"""The contract of a cluster, for local processes and for a real Slurm."""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db.states import ENDED_JOBS, JobState
from orchestrator.cluster import local
from orchestrator.cluster.base import Amendment, AnswerKind, Cluster, HostTrouble
from orchestrator.cluster.local import LocalCluster, process_start
from orchestrator.cluster.slurm import SlurmCluster
from orchestrator.spec.resources import Resources
from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import wait_until
from tests.scheduler.orders import ENTRY, TIMING, Jobs, find, new_order, statuses

ALL_NODES = tuple(f"node{number}" for number in range(1, 9))
KINDS = ["local", pytest.param("slurm", marks=pytest.mark.slurm)]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Cluster]:
    """Makes one more object for the same scheduler, as a head does that starts again."""
    if request.param == "local":
        return lambda: LocalCluster(entry=ENTRY)
    slurm: PrivateSlurm = request.getfixturevalue("slurm_cluster")
    for name, value in slurm.environment().items():
        monkeypatch.setenv(name, value)
    return lambda: SlurmCluster(entry=ENTRY, timing=TIMING, user=getpass.getuser())


@pytest.fixture
def jobs(make: Callable[[], Cluster], tmp_path: Path) -> Iterator[Jobs]:
    """A run folder whose name needs quotes."""
    jobs = Jobs(make(), make, tmp_path / "a run's $folder")
    yield jobs
    jobs.clean_up()


class TestCluster:
    def test_one_job_runs_and_ends(self, jobs: Jobs) -> None:
        order, answer = jobs.submit()
        (job_id,) = answer.job_ids
        jobs.wait_for({job_id: JobState.RUNNING})
        jobs.end(0)
        found = jobs.wait_for({job_id: JobState.COMPLETED})
        assert found[job_id].exit_code in {0, None}
        assert jobs.has_begun(order)
        assert (jobs.run_dir / order.log_pattern.format(index=0)).exists()

    def test_the_tasks_of_an_array_have_states_of_their_own(self, jobs: Jobs) -> None:
        order, answer = jobs.submit(size=3)
        first, second, third = answer.job_ids
        jobs.wait_for(dict.fromkeys(answer.job_ids, JobState.RUNNING))
        jobs.end(1, code=3)
        jobs.end(2)
        jobs.wait_for({first: JobState.RUNNING, second: JobState.FAILED, third: JobState.COMPLETED})
        assert all(jobs.has_begun(order, index) for index in range(3))
        logs = [jobs.run_dir / order.log_pattern.format(index=index) for index in range(3)]
        assert all(log.exists() for log in logs)

    def test_running_jobs_are_found_by_name_by_an_object_that_never_saw_them(
        self, jobs: Jobs
    ) -> None:
        single, one = jobs.submit()
        array, three = jobs.submit(size=3)
        jobs.wait_for(dict.fromkeys((*one.job_ids, *three.job_ids), JobState.RUNNING))
        nobody = new_order(jobs.run_dir)
        names = [single.name, array.name, nobody.name]
        wanted = {
            single.name: {0: one.job_ids[0]},
            array.name: dict(enumerate(three.job_ids)),
            nobody.name: {},
        }
        # A process has its command line a moment after it has started.
        wait_until(lambda: find(jobs.make(), names) == wanted)

    def test_an_object_that_never_saw_a_job_knows_that_it_runs(self, jobs: Jobs) -> None:
        _, answer = jobs.submit()
        jobs.wait_for({answer.job_ids[0]: JobState.RUNNING})
        found = statuses(jobs.make(), jobs.submitted)
        assert found[answer.job_ids[0]].state == JobState.RUNNING

    def test_cancelling_ends_the_named_tasks_only(self, jobs: Jobs) -> None:
        _, answer = jobs.submit(size=3)
        kept, *ended = answer.job_ids
        jobs.wait_for(dict.fromkeys(answer.job_ids, JobState.RUNNING))
        jobs.cluster.cancel(ended)
        names = {job_id: jobs.submitted[job_id] for job_id in ended}
        patience = time.monotonic() + 30
        while not all(
            status.state in ENDED_JOBS for status in statuses(jobs.cluster, names).values()
        ):
            assert time.monotonic() < patience
            time.sleep(0.1)
        jobs.wait_for({kept: JobState.RUNNING})
        jobs.cluster.cancel(ended)

    def test_cancelling_what_waits_leaves_alone_what_runs(self, jobs: Jobs) -> None:
        _, answer = jobs.submit()
        jobs.wait_for({answer.job_ids[0]: JobState.RUNNING})
        jobs.cluster.cancel(answer.job_ids, pending_only=True)
        time.sleep(0.5)
        jobs.wait_for({answer.job_ids[0]: JobState.RUNNING})
        jobs.end(0)
        jobs.wait_for({answer.job_ids[0]: JobState.COMPLETED})

    def test_amending_what_runs_changes_nothing(self, jobs: Jobs) -> None:
        _, answer = jobs.submit()
        jobs.wait_for({answer.job_ids[0]: JobState.RUNNING})
        begun = Amendment(left_alone=frozenset(answer.job_ids))
        assert jobs.cluster.amend(answer.job_ids, exclude=["node1"]) == begun
        jobs.wait_for({answer.job_ids[0]: JobState.RUNNING})

    def test_there_is_a_host_to_run_on(self, jobs: Jobs) -> None:
        limits = jobs.cluster.limits(None)
        assert limits is not None
        assert limits.known >= limits.hosts.keys()
        assert any(host.is_usable for host in limits.hosts.values())

    def test_cancelling_nothing_is_no_error(self, jobs: Jobs) -> None:
        jobs.cluster.cancel([])

    def test_a_job_that_nobody_knows_is_gone(self, jobs: Jobs) -> None:
        number = 999_999 if jobs.cluster.name == "slurm" else "local-999999-1"
        jobs.submitted[str(number)] = "hw-test-none"
        jobs.wait_for({str(number): JobState.GONE})

    def test_the_script_is_shown_without_submitting(self, jobs: Jobs) -> None:
        order = new_order(jobs.run_dir)
        text = jobs.cluster.script(order)
        assert order.token in text
        assert str(ENTRY) in text
        assert find(jobs.cluster, [order.name]) == {order.name: {}}
        assert jobs.cluster.pause_seconds() == 0


class TestLocal:
    def test_a_process_that_ignores_being_told_is_killed_with_all_that_it_started(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entry = tmp_path / "stubborn.py"
        entry.write_text(STUBBORN)
        cluster = LocalCluster(entry=entry)
        run = tmp_path / "run"
        (job_id,) = cluster.submit(new_order(run)).job_ids
        wait_until(lambda: len(list(run.glob("pid-*"))) == 3)
        pids = [int(path.name.partition("-")[2]) for path in run.glob("pid-*")]
        cluster.cancel([job_id])
        cluster.cancel([job_id])
        time.sleep(0.5)
        assert all(process_start(pid) for pid in pids), "it has its time"
        monkeypatch.setattr(local, "KILL_SECONDS", 0.0)
        cluster.cancel([job_id], pending_only=True)
        assert all(process_start(pid) for pid in pids)
        cluster.cancel([job_id])
        wait_until(lambda: not any(process_start(pid) for pid in pids))
        assert statuses(cluster, {job_id: "hw"})[job_id].state == JobState.FAILED

    def test_a_program_with_the_rights_of_another_user_ends_no_head(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cluster = LocalCluster(entry=ENTRY)
        (job_id,) = cluster.submit(new_order(tmp_path)).job_ids

        def refuse(pid: int, number: int) -> None:
            raise PermissionError(1, "Operation not permitted")  # root may signal everybody

        with monkeypatch.context() as patched:
            patched.setattr("os.kill", refuse)
            patched.setattr(local, "KILL_SECONDS", 0.0)
            assert cluster.cancel([job_id])
        cluster.cancel([job_id])
        wait_until(lambda: statuses(cluster, {job_id: "hw"})[job_id].state == JobState.FAILED)

    def test_where_no_process_can_be_started_there_is_no_job(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sys.executable", str(tmp_path / "gone"))
        answer = LocalCluster(entry=ENTRY).submit(new_order(tmp_path))
        assert (answer.kind, answer.no_room) == (AnswerKind.REFUSED, False)
        assert "No such file" in answer.message


# A worker, a program in a group of its own, and a daemon of that program, none of which can be
# asked to end.
STUBBORN = """
import os, signal, sys, time
def stay():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(os.path.join(sys.argv[1], f"pid-{os.getpid()}"), "w").close()
    time.sleep(120)
if os.fork() == 0:
    os.setpgid(0, 0)
    if os.fork() == 0:
        os.setsid()
        stay()
    stay()
stay()
"""


@pytest.mark.slurm
class TestSlurm:
    @pytest.fixture
    def jobs(
        self, slurm_cluster: PrivateSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Jobs]:
        """A run folder on the private Slurm."""
        for name, value in slurm_cluster.environment().items():
            monkeypatch.setenv(name, value)

        def make() -> Cluster:
            return SlurmCluster(entry=ENTRY, timing=TIMING, user=getpass.getuser())

        jobs = Jobs(make(), make, tmp_path)
        yield jobs
        jobs.clean_up()

    def test_a_pending_job_is_cancelled_while_it_waits(self, jobs: Jobs) -> None:
        _, answer = jobs.submit(size=3, resources=Resources(nodes=8, cpus=4))
        running, *waiting = answer.job_ids
        states = {running: JobState.RUNNING, **dict.fromkeys(waiting, JobState.PENDING)}
        found = jobs.wait_for(states)
        assert found[waiting[0]].host is None
        jobs.cluster.cancel(answer.job_ids, pending_only=True)
        jobs.wait_for(states | dict.fromkeys(waiting, JobState.CANCELLED))

    def test_an_array_that_is_cancelled_before_any_task_begins_is_seen_to_end(
        self, jobs: Jobs, slurm_cluster: PrivateSlurm
    ) -> None:
        _, first = jobs.submit(resources=Resources(nodes=8, cpus=4))
        jobs.wait_for({first.job_ids[0]: JobState.RUNNING})
        _, answer = jobs.submit(size=3)
        jobs.wait_for(dict.fromkeys(answer.job_ids, JobState.PENDING))
        jobs.cluster.cancel(answer.job_ids, pending_only=True)
        jobs.wait_for(dict.fromkeys(answer.job_ids, JobState.CANCELLED))

    def test_a_job_that_left_the_queue_is_known_by_the_accounting(
        self, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        order, answer = jobs.submit()
        jobs.end(0, code=5)
        jobs.wait_for({answer.job_ids[0]: JobState.FAILED})
        monkeypatch.setenv("PATH", f"{_forgetful(tmp_path)}:{_path()}")
        found = jobs.wait_for({answer.job_ids[0]: JobState.FAILED})
        assert found[answer.job_ids[0]].exit_code == 5
        assert find(jobs.cluster, [order.name]) == {order.name: {0: answer.job_ids[0]}}

    def test_a_controller_that_does_not_answer_leaves_everything_unknown(
        self, jobs: Jobs, slurm_cluster: PrivateSlurm
    ) -> None:
        _, answer = jobs.submit()
        jobs.wait_for({answer.job_ids[0]: JobState.RUNNING})
        timing = TIMING.model_copy(update={"slurm_limit_seconds": 0.5})
        impatient = SlurmCluster(entry=ENTRY, timing=timing, user=getpass.getuser())
        slurm_cluster.freeze_controller()
        try:
            names = {answer.job_ids[0]: jobs.submitted[answer.job_ids[0]]}
            (status,) = statuses(impatient, names).values()
            assert status.state == JobState.UNKNOWN
            assert find(impatient, names.values()) is None
        finally:
            slurm_cluster.thaw_controller()
        jobs.wait_for({answer.job_ids[0]: JobState.RUNNING})

    def test_partitions_are_listed(self, jobs: Jobs) -> None:
        assert isinstance(jobs.cluster, SlurmCluster)
        assert jobs.cluster.partitions() == ["alpha", "beta"]

    def test_jobs_that_wait_avoid_other_hosts_and_those_that_run_are_left_alone(
        self, jobs: Jobs, slurm_cluster: PrivateSlurm
    ) -> None:
        wide = Resources(nodes=8, cpus=4)
        _, array = jobs.submit(size=4, resources=wide)
        jobs.wait_for({array.job_ids[0]: JobState.RUNNING})
        _, single = jobs.submit(resources=Resources(exclude=("node1", "node3")))
        ids = (*array.job_ids, *single.job_ids, "999999")
        left_alone = frozenset({array.job_ids[0], "999999"})
        assert jobs.cluster.amend(ids, exclude=["node2"]) == Amendment(left_alone=left_alone)
        waiting = [*array.job_ids[1:], *single.job_ids]
        listed = slurm_cluster.run("squeue", "--array", "--noheader", "--format=%i %T %x").stdout
        found = {words[0]: words[1:] for line in listed.splitlines() if (words := line.split())}
        assert found == {
            array.job_ids[0]: ["RUNNING"],
            **{job_id: ["PENDING", "node2"] for job_id in waiting},
        }
        unknown = jobs.cluster.amend(ids, exclude=["node2", "node99"])
        assert unknown.has_unknown_host
        assert jobs.cluster.amend(waiting, exclude=[]) == Amendment()
        jobs.cluster.cancel(array.job_ids[:1])
        jobs.wait_for({array.job_ids[1]: JobState.RUNNING})

    def test_a_job_without_any_host_left_goes_on_when_the_list_is_shorter(self, jobs: Jobs) -> None:
        order = new_order(jobs.run_dir, resources=Resources(exclude=ALL_NODES))
        answer = jobs.cluster.submit(order)
        assert (answer.kind, answer.host_trouble) == (AnswerKind.REFUSED, HostTrouble.NONE_LEFT)
        _, first = jobs.submit(resources=Resources(nodes=8, cpus=4))
        jobs.wait_for({first.job_ids[0]: JobState.RUNNING})
        _, second = jobs.submit()
        (job_id,) = second.job_ids
        jobs.cluster.amend([job_id], exclude=ALL_NODES)
        jobs.cluster.cancel(first.job_ids)
        wait_until(lambda: self._reason(jobs, job_id) == "BadConstraints")
        jobs.cluster.amend([job_id], exclude=ALL_NODES[1:])
        jobs.wait_for({job_id: JobState.RUNNING})

    @staticmethod
    def _reason(jobs: Jobs, job_id: str) -> str:
        return statuses(jobs.cluster, {job_id: jobs.submitted[job_id]})[job_id].reason

    def test_a_host_that_slurm_does_not_know_is_a_trouble_with_hosts(self, jobs: Jobs) -> None:
        order = new_order(jobs.run_dir, resources=Resources(exclude=("node1", "node99")))
        answer = jobs.cluster.submit(order)
        assert (answer.kind, answer.host_trouble) == (AnswerKind.REFUSED, HostTrouble.UNKNOWN)

    def test_a_canary_runs_on_its_host_alone(self, jobs: Jobs) -> None:
        order = replace(new_order(jobs.run_dir), only_on="node3")
        answer = jobs.cluster.submit(order)
        (job_id,) = answer.job_ids
        jobs.submitted[job_id] = order.name
        found = jobs.wait_for({job_id: JobState.RUNNING})
        assert found[job_id].host == "node3"

    def test_the_limits_are_those_of_the_partition(
        self, jobs: Jobs, slurm_cluster: PrivateSlurm
    ) -> None:
        limits = jobs.cluster.limits("beta,alpha")
        assert limits is not None
        assert limits.known == set(limits.hosts) == set(ALL_NODES)
        assert (limits.memory_mb, limits.minutes) == (8000, None)
        assert all(host.is_usable and host.cpus == 4 for host in limits.hosts.values())
        default = jobs.cluster.limits(None)
        assert default is not None
        assert set(default.hosts) == set(ALL_NODES)
        nowhere = jobs.cluster.limits("nowhere")
        assert nowhere is not None
        assert not nowhere.hosts
        assert nowhere.known == set(ALL_NODES)

    def test_live_answers_have_the_shape_of_the_recorded_ones(
        self, jobs: Jobs, slurm_cluster: PrivateSlurm, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SLURM_TIME_FORMAT", "%s")
        from orchestrator.cluster.parsing import (
            SACCT_FORMAT,
            SQUEUE_FORMAT,
            read_sacct,
            read_squeue,
        )

        _, answer = jobs.submit(size=2)
        jobs.wait_for(dict.fromkeys(answer.job_ids, JobState.RUNNING))
        queue = slurm_cluster.run(
            "squeue", "--array", "--noheader", "--states=all", f"--format={SQUEUE_FORMAT}"
        ).stdout
        words = ("sacct", "--allocations", "--noheader", "--parsable2", f"--format={SACCT_FORMAT}")
        patience = time.monotonic() + 60
        while not (accounting := slurm_cluster.run(*words).stdout):
            # It is told of jobs seconds later.
            assert time.monotonic() < patience
            time.sleep(0.2)
        assert {line.count("|") for line in queue.splitlines()} == {8}
        assert {line.count("|") for line in accounting.splitlines()} == {5}
        assert {row.partition for row in read_squeue(queue)} <= {"alpha", "beta"}
        assert {(row.account, row.qos) for row in read_squeue(queue)} == {("root", "normal")}
        assert set(answer.job_ids) <= {row.job_id for row in read_squeue(queue)}
        rows = [*read_squeue(queue), *read_sacct(accounting)]
        assert JobState.UNKNOWN not in {row.status.state for row in rows}
        hour = timedelta(hours=1)
        assert all(
            row.submitted and datetime.now(UTC) - hour < row.submitted < datetime.now(UTC) + hour
            for row in rows
        )


def _path() -> str:
    import os

    return os.environ["PATH"]


def _forgetful(folder: Path) -> Path:
    """A folder with an squeue that has forgotten all jobs."""
    (folder / "bin").mkdir()
    squeue = folder / "bin" / "squeue"
    squeue.write_text("#!/bin/sh\nexit 0\n")
    squeue.chmod(0o755)
    return folder / "bin"
