"""Jobs that wait are told to avoid hosts: one call for all, and what its complaints mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cluster.base import Amendment, AnswerKind, HostTrouble
from orchestrator.cluster.parsing import gathered, read_tasks
from tests.scheduler.orders import new_order
from tests.scheduler.test_fakes import Site, cluster, site

__all__ = ["site"]

JOBS = ("12", "15", "20_0", "20_1", "20_2", "20_7")
ARRAYS = st.sets(st.tuples(st.integers(1, 5), st.integers(0, 30)), max_size=60)


def test_jobs_and_arrays_are_amended_with_one_call(site: Site) -> None:
    site.prints("scontrol", "")
    assert cluster().amend(JOBS, exclude=["node2", "node1"]) == Amendment()
    (call,) = site.calls()
    assert call == "scontrol update JobId=12,15,20_[0-2,7] ExcNodeList=node1,node2"


def test_the_last_host_is_let_in_again(site: Site) -> None:
    site.prints("scontrol", "")
    cluster().amend(["12"], exclude=[])
    assert site.calls() == ["scontrol update JobId=12 ExcNodeList="]


def test_nothing_to_amend_is_no_call(site: Site) -> None:
    assert cluster().amend([], exclude=["node1"]) == Amendment()
    assert site.calls() == []


@given(ARRAYS)
def test_the_short_form_of_tasks_can_be_read_back(places: set[tuple[int, int]]) -> None:
    tasks = {f"{array}_{index}" for array, index in places}
    short = gathered(tasks)
    assert len(short) == len({array for array, _ in places})
    assert {task for word in short for task in read_tasks(word)} == tasks


# Recorded from Slurm 22.05.8.
@pytest.mark.parametrize(
    ("complaint", "left_alone"),
    [
        ("20_0: Job is no longer pending execution\n20_1-2,7: No error", {"20_0"}),
        ("20_1: Job has already finished", {"20_1"}),
        ("Invalid job id specified for job 12", {"12"}),
        ("20_6-9: Invalid job id specified", {"20_7"}),
        (
            "20_0-2: Job is no longer pending execution\nInvalid job id specified for job 15",
            {"15", "20_0", "20_1", "20_2"},
        ),
    ],
)
def test_jobs_that_have_begun_or_ended_are_no_error(
    site: Site, complaint: str, left_alone: set[str]
) -> None:
    site.fails("scontrol", complaint)
    found = cluster().amend(JOBS, exclude=["node1"])
    assert found == Amendment(left_alone=frozenset(left_alone))


@pytest.mark.parametrize(
    ("complaint", "refused"),
    [
        ("Invalid user id for job 12", {"12"}),
        ("20_1-2: Access/permission denied\n20_7: No error", {"20_1", "20_2"}),
        ("Access/permission denied for job 15\n20_0: Job has already finished", {"15"}),
        ("scontrol: error: this site does not want that", set(JOBS)),
        ("20_1,...: Access/permission denied", set(JOBS)),
    ],
)
def test_jobs_that_nobody_may_change_are_named(
    site: Site, complaint: str, refused: set[str]
) -> None:
    site.fails("scontrol", complaint)
    found = cluster().amend(JOBS, exclude=["node1"])
    assert found.refused == refused
    assert not found.unclear
    assert all(line in complaint for line in found.message.splitlines())


@pytest.mark.parametrize(
    "body",
    [
        "sleep 60",
        "exit 1",
        "echo 'slurm_update error: Unable to contact slurm controller' >&2; exit 1",
        "echo 'Socket timed out on send/recv operation for job 12' >&2; exit 1",
        "echo 'slurm_update error: Slurm backup controller in standby mode' >&2; exit 1",
        "echo 'Protocol authentication error for job 12' >&2; exit 1",
        "echo 'scontrol: begun' >&2; kill -9 $$",
        "echo 'scontrol: cannot execute: Stale file handle' >&2; exit 126",
    ],
)
def test_of_a_controller_that_does_not_answer_nothing_is_known(site: Site, body: str) -> None:
    site.command("scontrol", body)
    found = cluster(limit_seconds=0.3).amend(JOBS, exclude=["node1"])
    assert found.unclear == set(JOBS)
    assert not found.refused
    assert not found.has_unknown_host


def test_a_host_that_slurm_has_forgotten_is_told_apart(site: Site) -> None:
    text = "20_4: Invalid node name specified\nInvalid node name specified for job 12"
    site.fails("scontrol", text)
    found = cluster().amend(JOBS, exclude=["node1", "gone"])
    assert found.has_unknown_host
    assert found.unclear == set(JOBS)
    assert not found.refused


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("Invalid node name specified", HostTrouble.UNKNOWN),
        ("Requested node configuration is not available", HostTrouble.NONE_LEFT),
        (
            "x\nMemory specification can not be satisfied\nRequested node configuration is not available",
            None,
        ),
        ("Invalid qos specification", None),
        ("QOSMaxSubmitJobPerUserLimit", None),
    ],
)
def test_a_refusal_says_whether_the_hosts_are_to_blame(
    site: Site, text: str, trouble: HostTrouble | None
) -> None:
    site.fails("sbatch", f"sbatch: error: Batch job submission failed: {text}")
    answer = cluster().submit(new_order(site.folder.parent / "run"))
    assert (answer.kind, answer.host_trouble) == (AnswerKind.REFUSED, trouble)
