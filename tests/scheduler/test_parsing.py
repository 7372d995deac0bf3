"""What Slurm's commands print, recorded from Slurm 22.05.8, and what we make of it.

Account, QOS and partition were added to the recorded queue later; `test_clusters` compares with Slurm.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.states import ENDED_JOBS, JobState
from orchestrator.cluster.complaints import PERMANENT, UNCLEAR
from orchestrator.cluster.parsing import NamedStatus, job_id_of, read_sacct, read_squeue
from orchestrator.cluster.states import SLURM_STATES, job_state

ANSWERS = Path(__file__).with_name("answers")
# sacct(1), "JOB STATE CODES", and squeue(1), "JOB STATE CODES", of Slurm 22.05 and 24.11.
MANUAL = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "CONFIGURING",
    "COMPLETING",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PENDING",
    "PREEMPTED",
    "RUNNING",
    "RESV_DEL_HOLD",
    "REQUEUE_FED",
    "REQUEUE_HOLD",
    "REQUEUED",
    "RESIZING",
    "REVOKED",
    "SIGNALING",
    "SPECIAL_EXIT",
    "STAGE_OUT",
    "STOPPED",
    "SUSPENDED",
    "TIMEOUT",
    "LAUNCH_FAILED",
    "RECONFIG_FAIL",
]


def answer(name: str) -> str:
    return (ANSWERS / name).read_text()


# States


def test_every_state_of_the_manual_is_known() -> None:
    assert set(MANUAL) == SLURM_STATES.keys()
    assert JobState.UNKNOWN not in SLURM_STATES.values()
    assert JobState.GONE not in SLURM_STATES.values()


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("CANCELLED by 1000", JobState.CANCELLED),
        ("CANCELLED+", JobState.CANCELLED),
        ("OUT_OF_ME+", JobState.OUT_OF_MEMORY),
        ("COMPLETED", JobState.COMPLETED),
        (" completed ", JobState.COMPLETED),
        ("COMPLETI", JobState.RUNNING),
        ("COMPLETE", JobState.COMPLETED),
        ("COMPLET", JobState.UNKNOWN),
        ("COMPLE+", JobState.UNKNOWN),
        ("NODE_FAI+", JobState.NODE_FAIL),
        ("PREEMPT", JobState.PREEMPTED),
        ("CO", JobState.UNKNOWN),
        ("R", JobState.UNKNOWN),
        ("", JobState.UNKNOWN),
        ("+", JobState.UNKNOWN),
        ("EXPLODED", JobState.UNKNOWN),
        ("COMPLETED_NOT", JobState.UNKNOWN),
        ("RUNNING FAILED", JobState.RUNNING),
    ],
)
def test_a_word_of_slurm_has_one_meaning_or_none(word: str, state: JobState) -> None:
    assert job_state(word) == state


@pytest.mark.parametrize("word", MANUAL)
def test_a_truncated_word_never_means_something_else(word: str) -> None:
    for length in range(len(word) + 1):
        piece = word[:length]
        if piece not in SLURM_STATES:
            assert job_state(f"{piece}+") in {SLURM_STATES[word], JobState.UNKNOWN}


@given(st.text())
def test_no_text_is_an_end_by_accident(text: str) -> None:
    known = {word[:6] for word in SLURM_STATES}
    if text.strip()[:6].upper() not in known:
        assert job_state(text) == JobState.UNKNOWN


# sbatch


@pytest.mark.parametrize(
    ("output", "job_id"),
    [
        ("123\n", "123"),
        ("123;cluster\n", "123"),
        ("123;my.cluster-2\n", "123"),
        ("  123  \n", "123"),
        ("123\n123\n", "123"),
        ("", None),
        ("job 123\n", None),
        ("Submitted batch job 123\n", None),
        ("Maintenance of job 48 hours from now\n", None),
        ("123\n124\n", None),
        ("123 456\n", None),
        ("-123\n", None),
        ("12.5\n", None),
        ("123_4\n", None),
        ("123;\n", None),
        ("١٢٣\n", None),
    ],
)
def test_only_a_line_that_is_nothing_but_an_id_is_one(output: str, job_id: str | None) -> None:
    assert job_id_of(output) == job_id


def test_an_id_is_found_in_what_sbatch_printed() -> None:
    assert job_id_of(answer("sbatch.txt")) == "525"


def test_a_banner_around_the_id_does_not_hide_it() -> None:
    assert job_id_of(answer("banners.txt")) == "525"


@given(
    st.integers(min_value=1, max_value=2**31),
    st.lists(st.text(alphabet="job hours:48"), max_size=4),
)
def test_words_around_an_id_change_nothing(number: int, words: list[str]) -> None:
    lines = [f"# {word}" for word in words]
    assert job_id_of("\n".join([*lines, str(number), *lines])) == str(number)


REFUSALS = [
    block.partition("\n")[::2]
    for block in answer("refusals.txt").split("## --")
    if "## exit 0" not in block and block.strip()
]
MAY_PASS = ("dependency",)


@pytest.mark.parametrize(("options", "text"), REFUSALS, ids=[option for option, _ in REFUSALS])
def test_a_recorded_refusal_is_known_to_be_one_for_ever(options: str, text: str) -> None:
    assert not UNCLEAR.search(text)
    assert bool(PERMANENT.search(text)) is not options.startswith(MAY_PASS)


@pytest.mark.parametrize(
    "text",
    [
        "Batch job submission failed: Job violates accounting/QOS policy (job submit limit, …)",
        "Batch job submission failed: Unable to contact slurm controller (connect failure)",
        "Batch job submission failed: Slurm temporarily unable to accept job, sleeping and retrying",
        "Batch job submission failed: Required partition not available (inactive or drain)",
        "QOSMaxSubmitJobPerUserLimit",
        "Batch job submission failed: Resource temporarily unavailable",
    ],
)
def test_a_limit_or_an_absent_controller_can_pass(text: str) -> None:
    assert not PERMANENT.search(text)
    assert not UNCLEAR.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "Batch job submission failed: Socket timed out on send/recv operation",
        "Batch job submission failed: Zero Bytes were transmitted or received",
        "slurm_receive_msg: Connection reset by peer",
    ],
)
def test_a_lost_answer_leaves_it_open(text: str) -> None:
    assert UNCLEAR.search(text)


# squeue and sacct


def test_a_recorded_queue_is_understood() -> None:
    rows = {row.job_id: row for row in read_squeue(answer("squeue.txt"))}
    states = {key: row.status.state for key, row in rows.items()}
    assert states["525"] == JobState.COMPLETED
    assert states["526"] == JobState.FAILED
    assert states["527_0"] == JobState.RUNNING
    assert states["527_1"] == JobState.CANCELLED
    assert states["534_0"] == JobState.PENDING
    assert rows["527_0"].name == "hw-rec-three"
    assert rows["527_0"].status.host == "node1"
    assert rows["534_0"].status.host is None
    assert rows["534_0"].status.reason == "BeginTime"
    assert rows["525"].status.reason == ""
    assert rows["531"].status.host == "node2", "the first of node[2-3]"
    assert {(row.account, row.qos, row.partition) for row in rows.values()} == {
        ("root", "normal", "alpha")
    }


def test_recorded_accounting_is_understood() -> None:
    rows = {row.job_id: row for row in read_sacct(answer("sacct.txt"))}
    assert rows["525"].status.exit_code == 0
    assert rows["526"].status.exit_code == 3
    assert rows["528"].status.state == JobState.CANCELLED
    assert rows["528"].status.word == "CANCELLED by root"
    assert rows["531"].status.host == "node2"
    assert rows["534_[0-1]"].status.host is None
    assert {key for key, row in rows.items() if row.status.state in ENDED_JOBS} == {
        *("525", "526", "527_1", "528", "529", "531")
    }


@pytest.mark.parametrize(("read", "more"), [(read_squeue, "|me|normal|alpha"), (read_sacct, "")])
def test_lines_that_are_not_ours_are_skipped(
    read: Callable[[str], list[NamedStatus]], more: str
) -> None:
    rows = read(
        f"slurm: a banner\n\n||\n7|RUNNING|node1|None|1{more}\n8|RUNNING|node1|None|1{more}|hw-a|b\n"
    )
    assert [(row.job_id, row.name) for row in rows] == [("8", "hw-a|b")]


def test_steps_are_no_jobs() -> None:
    assert read_sacct("7.batch|FAILED|node1|1:0|1|batch\n") == []


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("node1", "node1"),
        ("node[03-05,9]", "node03"),
        ("a1,b2", "a1"),
        ("gpu-[1-2]", "gpu-1"),
        ("None assigned", None),
        ("(null)", None),
        ("", None),
    ],
)
def test_the_first_node_of_a_list_is_the_host(nodes: str, host: str | None) -> None:
    (row,) = read_squeue(f"7|RUNNING|{nodes}|None|Unknown|me|normal|alpha|hw-a")
    assert row.status.host == host


@given(st.text())
def test_no_answer_of_a_command_is_too_odd_to_be_read(text: str) -> None:
    for row in [*read_squeue(text), *read_sacct(text)]:
        assert row.status.state in JobState
    job_id_of(text)
