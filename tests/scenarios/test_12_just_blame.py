"""Scenario 12: hosts are blamed for what is their fault, never for what is not, and never for long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from db.sql import hosts
from db.sql.engine import make_engine
from db.states import ExclusionSource
from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, Started, lines_of, wait_until
from tests.scenarios.black_hole import PARTITION, four_nodes
from tests.scenarios.evidence import Evidence, jobs_left
from tests.scenarios.wrappers import Wrappers

pytestmark = pytest.mark.slurm
COMMON = (
    *("run", "--partition", "alpha", "--mem_gb", "0.1", "--num_parallel_jobs", "6"),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL", "--seed", "1"),
    *("--timing", "poll_max_seconds=2", "--timing", "calls_burst=1000"),
)
# Each strikes the first attempt of its trial; the bug strikes all of them.
FATES = {
    "bug": "true",
    "memory": "python3 -c 'bytearray(b\"x\") * (97 << 20)'; kill -9 $$",
    "time limit": "sleep 60",
    "scancel": 'echo "$job" > cancel; sleep 60',
}
WANTED = {
    "bug": ["PROGRAM", "PROGRAM"],
    "memory": ["OUT_OF_MEMORY", None],
    "time limit": ["TIMEOUT", None],
    "scancel": ["CANCELLED"],
}
CASES = "; ".join(f"{index}) {text} ;" for index, text in enumerate(FATES.values()))
PROGRAM = (
    'job="${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"; '
    'echo "$SLURMD_NODENAME" >> places; [ "$HEADWAY_TRIAL" != 0 ] || exit 3; '
    f'mkdir "fate-$HEADWAY_TRIAL" && case "$HEADWAY_TRIAL" in {CASES} esac; '
    "sleep 0.3; echo RESULT: %(x)"
)
FAILURES = (
    'SELECT trial."index", attempt.failure_class FROM attempt '
    "JOIN trial ON trial.id = attempt.trial_id "
    "WHERE coalesce(attempt.failure_class, '') != 'SUBMIT' ORDER BY trial.id, attempt.number"
)
DOUBTED = "SELECT name, reason FROM host WHERE state != 'GOOD'"


def test_what_is_not_a_host_s_fault_excludes_none(
    login_node: Place, slurm_cluster: PrivateSlurm, wrappers: Wrappers
) -> None:
    # The first job that sbatch denies is a ghost.
    wrappers.put(
        "sbatch",
        f'mkdir {login_node.folder}/denied 2> /dev/null || exec "$REAL" "$@"',
        '"$REAL" "$@" > /dev/null',
        "echo 'sbatch: error: Batch job submission failed: Socket timed out' >&2; exit 1",
    )
    words = ("--experiment_name", "blame", "--max_eval", "12", "--worker_timeout", "0.1")
    head = login_node.start(*COMMON, *words, "--run_program", PROGRAM)
    cancel = login_node.folder / "cancel"
    wait_until(lambda: bool(lines_of(cancel)))
    slurm_cluster.run("scancel", lines_of(cancel)[0])
    code, output = head.wait()
    assert code == 0, output
    evidence = Evidence(login_node, "blame")
    found: dict[str, list[str | None]] = {fate: [] for fate in FATES}
    for index, failure in evidence.rows(FAILURES):
        if index < len(FATES):
            found[list(FATES)[index]].append(failure)
    assert found == WANTED
    assert evidence.rows("SELECT * FROM exclusion") == []
    assert evidence.events("excluded") == []
    assert evidence.rows(DOUBTED) == []
    wait_until(lambda: jobs_left(slurm_cluster, "blame") == [])


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_preemption_excludes_none(
    preempting_place: Place, preempting_cluster: PrivateSlurm
) -> None:
    program = 'mkdir "came-$HEADWAY_TRIAL" && sleep 60; echo RESULT: %(x)'
    words = ("--experiment_name", "room", "--max_eval", "2", "--run_program", program)
    partition = COMMON.index("alpha")
    head = preempting_place.start(*COMMON[:partition], "low", *COMMON[partition + 1 :], *words)
    folder = preempting_place.folder
    wait_until(lambda: len(list(folder.glob("came-*"))) == 2)
    high = ("--partition=high", "--nodes=2", "--exclusive", "--wait", "--wrap=sleep 0.1")
    preempting_cluster.run("sbatch", *high, "--output=/dev/null")
    code, output = head.wait()
    assert code == 0, output
    evidence = Evidence(preempting_place, "room")
    assert sorted(row[2:] for row in evidence.attempts()) == [
        *[("FAILED", "PREEMPTED")] * 2,
        *[("SUCCEEDED", None)] * 2,
    ]
    assert evidence.rows("SELECT * FROM exclusion") == []
    assert [event["host"] for event in evidence.events("suspect")] == []


@pytest.fixture
def lost(slurm_cluster: PrivateSlurm) -> Iterator[str]:
    """A node that is up again afterwards."""
    yield "node2"
    set_state(slurm_cluster, "node2", "resume")


def begun_on(place: Place, host: str) -> int:
    """How many programs were started on a host."""
    return lines_of(place.folder / "places").count(host)


def set_state(cluster: PrivateSlurm, host: str, state: str) -> None:
    """Tell Slurm that a node is down, or up again if it is not by itself."""
    words = ("scontrol", "update", f"nodename={host}", f"state={state}", "reason=test")
    cluster.run(*words, check=state == "down")


def is_excluded(head: Started, evidence: Evidence, host: str) -> bool:
    """Whether a host was excluded, as far as the head lives."""
    assert head.process.poll() is None, head.wait()[1]
    return [event["host"] for event in evidence.events("excluded")] == [host]


def went_to(evidence: Evidence, host: str, condition: str, *, is_canary: bool) -> int:
    """How many attempts ran on a host that were submitted after it was excluded."""
    marked = "LIKE" if is_canary else "NOT LIKE"
    ((count,),) = evidence.rows(
        "SELECT count(*) FROM attempt JOIN submission ON submission.id = attempt.submission_id "
        f"JOIN exclusion WHERE attempt.host = '{host}' AND requested {marked} '%only_on%' "
        f"AND submission.created_at > exclusion.created_at AND {condition}"
    )
    return int(count)


def test_an_exclusion_ends_with_one_canary(
    login_node: Place, slurm_cluster: PrivateSlurm, lost: str
) -> None:
    # The first one there runs until its node is lost.
    dies = f'[ "$SLURMD_NODENAME" != {lost} ] || ! mkdir came || sleep 60; '
    program = f"{dies}sleep 1; echo RESULT: %(x)"
    words = ("--experiment_name", "canary", "--max_eval", "36", "--run_program", program)
    # Each node runs one at a time.
    alone = ("--partition", PARTITION, "--cpus_per_task", "4", "--num_parallel_jobs", "4")
    short = ("--timing", "exclusion_seconds=4")
    evidence = Evidence(login_node, "canary")
    with four_nodes(slurm_cluster):
        head = login_node.start(*COMMON, *alone, *short, *words)
        wait_until((login_node.folder / "came").exists)
        set_state(slurm_cluster, lost, "down")
        wait_until(lambda: is_excluded(head, evidence, lost))
        set_state(slurm_cluster, lost, "resume")
        code, output = head.wait()
    assert code == 0, output
    evidence.assert_exactly(36)
    included = [event["state"] for event in evidence.events("included")]
    assert included == ["PAROLE", "GOOD"]
    assert evidence.rows(DOUBTED) == []
    # Of what was submitted before the canary had come back, nothing else went there.
    assert went_to(evidence, lost, "attempt.ended_at IS NOT NULL", is_canary=True) == 1
    ((came_back,),) = evidence.rows("SELECT ended_at FROM attempt WHERE requested LIKE '%only_on%'")
    assert went_to(evidence, lost, f"submission.created_at < '{came_back}'", is_canary=False) == 0


@pytest.mark.postgres
def test_no_more_than_a_quarter_is_kept_out(
    login_node: Place, slurm_cluster: PrivateSlurm, postgres_url: str
) -> None:
    # What half of the partition cannot do is no fault of single hosts.
    check = 'case "$SLURMD_NODENAME" in node[1-4]) echo no disk; exit 1; esac'
    words = ("--experiment_name", "cap", "--max_eval", "400", "--preflight", check)
    program = ("--run_program", "sleep 0.3; echo RESULT: %(x)")
    many = ("--num_parallel_jobs", "16", "--db_url", postgres_url)
    head = login_node.start(*COMMON, *many, *words, *program)
    code, output = head.wait()
    assert code == 4, output
    evidence = Evidence(login_node, "cap", postgres_url)
    (stop,) = evidence.events("stop")
    assert "hosts" in stop["reason"]
    assert stop["reason"] in output
    assert len(evidence.events("excluded")) == 2
    assert evidence.rows("SELECT count(*) FROM exclusion") == [(2,)]
    wait_until(lambda: jobs_left(slurm_cluster, "cap") == [])


def test_a_name_that_slurm_does_not_know_any_more_is_dropped(
    login_node: Place, slurm_cluster: PrivateSlurm, postgres_url: str
) -> None:
    # An earlier search has left an exclusion; its node was taken away since.
    program = "echo RESULT: %(x)"
    words = ("--experiment_name", "first", "--max_eval", "1", "--run_program", program)
    login_node.run(*COMMON, *words, "--db_url", postgres_url)
    engine = make_engine(postgres_url)
    with engine.begin() as connection:
        for name in ("node77", "node3"):
            source = ExclusionSource.HEADWAY
            assert hosts.exclude(connection, "", name, source=source, reason="test", seconds=3600)
    engine.dispose()
    program = 'echo "$SLURMD_NODENAME" >> places; sleep 0.3; echo RESULT: %(x)'
    words = ("--experiment_name", "dropped", "--max_eval", "16", "--run_program", program)
    login_node.run(*COMMON, *words, "--db_url", postgres_url)
    evidence = Evidence(login_node, "dropped", postgres_url)
    evidence_rows = evidence.rows("SELECT state FROM submission WHERE state = 'REFUSED'")
    assert evidence_rows == []
    assert begun_on(login_node, "node3") == 0
    assert len(lines_of(login_node.folder / "places")) == 16
    assert [event["host"] for event in evidence.events("included")] == ["node77"]
    wait_until(lambda: jobs_left(slurm_cluster, "dropped") == [])
