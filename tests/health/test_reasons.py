"""Why Slurm lets a job wait, and whether it can ever start."""

from __future__ import annotations

import pytest

from orchestrator.health.reasons import TABLE, Fate, explain, find_denial
from orchestrator.health.reasons_page import MARK, fill
from tests.main_job.runs import ROOT

PAGE = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("Priority", "other jobs come before"),
        ("(Resources)", "next in line"),
        ("PartitionTimeLimit", "more time than its partition"),
        ("BadConstraints", "no host is left"),
        ("ReqNodeNotAvail, UnavailableNodes:node[1-4]", "down, drained or reserved"),
        ("ReqNodeNotAvail, Reserved for maintenance", "maintenance"),
        ("(ReqNodeNotAvail, May be reserved for other job)", "down, drained or reserved"),
        ("Nodes required for job are DOWN, DRAINED or reserved for jobs", "down, drained"),
        ("QOSMaxSubmitJobPerUserLimit", "as many jobs are queued"),
        ("QOSMaxCpuPerUserLimit", "you use as much at once"),
        ("QOSMaxWallDurationPerJobLimit", "more time than its quality of service"),
        ("QOSMaxMemoryPerJob", "more memory than its quality of service"),
        ("AssocGrpCPUMinutesLimit", "hours of its account are used up"),
        ("AssocGrpCPURunMinutesLimit", "so much time before it"),
        ("AssocMaxJobsLimit", "as its account gives at once"),
        ("JobHeldUser", "you, or somebody"),
        ("JobHeldAdmin", "administration"),
        ("launch failed requeued held", "could not start it"),
        ("JobArrayTaskLimit", "array"),
        ("None", "has not looked at it yet"),
    ],
)
def test_a_reason_of_squeue_is_told_in_words(word: str, part: str) -> None:
    assert part in explain(word).says


NEVER = """
    PartitionTimeLimit BadConstraints InvalidAccount InvalidQOS QOSNotAllowed AccountNotAllowed
    QOSMaxCpuPerJobLimit QOSMaxMemoryPerNode QOSMinGRES AssocMaxWallDurationPerJobLimit
    MaxMemPerLimit DependencyNeverSatisfied ReservationDeleted
"""
HELD = "JobHeldUser JobHeldAdmin JobHoldMaxRequeue RequeueExitHold"
WAITS = """
    Priority Resources BeginTime Dependency Licenses Reservation PartitionDown PartitionInactive
    QOSGrpCpuLimit QOSMaxJobsPerUserLimit AssocGrpGRES NodeDown QOSMaxSubmitJobPerUserLimit
    JobArrayTaskLimit PartitionNodeLimit Cleaning None
"""


@pytest.mark.parametrize(
    ("fate", "words"), [(Fate.NEVER, NEVER), (Fate.HELD, HELD), (Fate.WAITS, WAITS)]
)
def test_what_can_never_start_is_told_from_what_is_held_and_what_merely_waits(
    fate: Fate, words: str
) -> None:
    found = {word: explain(word).fate for word in words.split()}
    assert found == dict.fromkeys(words.split(), fate)


POLICY = "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy"


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("QOSMaxCpuPerJobLimit", "it asks for more than its quality of service"),
        ("QOSMaxWallDurationPerJobLimit", "it asks for more time"),
        ("QOSMinCpuNotSatisfied", "it asks for less"),
        ("QOSMaxCpuPerUserLimit", "it asks alone for more"),
        ("QOSGrpCpuLimit", "it asks alone for more"),
        ("AssocGrpMemLimit", "it asks alone for more"),
    ],
)
def test_what_a_qos_denies_to_one_job_it_denies_for_ever(word: str, part: str) -> None:
    found = find_denial(f"sbatch: error: {word}\n{POLICY} (job submit limit)")
    assert found is not None
    assert (found.word, found.fate) == (word, Fate.NEVER)
    assert found.says.startswith(part)
    assert found.remedy


@pytest.mark.parametrize(
    "word",
    [
        *("QOSMaxSubmitJobPerUserLimit", "AssocMaxSubmitJobLimit", "QOSGrpSubmitJobsLimit"),
        *("AssocGrpJobsLimit", "AssocGrpCPUMinutesLimit", "QOSGrpWallLimit", "Priority", ""),
    ],
)
def test_a_denial_that_passes_when_others_have_ended_is_none_for_ever(word: str) -> None:
    assert find_denial(f"sbatch: error: {word}\n{POLICY}") is None


def test_a_reason_that_nobody_knows_is_shown_as_it_is_and_merely_waits() -> None:
    found = explain("(FluxCapacitor)")
    assert (found.word, found.fate) == ("FluxCapacitor", Fate.WAITS)
    assert "no more than this word" in found.says


@pytest.mark.parametrize("text", ["Reservation fix was deleted", "launch failed requeued held"])
def test_a_sentence_may_come_without_its_spaces(text: str) -> None:
    found, squeezed = explain(text), explain(text.replace(" ", "_"))
    assert found.fate is not Fate.WAITS
    assert (squeezed.says, squeezed.fate) == (found.says, found.fate)


def test_each_row_is_a_part_of_a_sentence_and_its_remedy_a_whole_one() -> None:
    for row in TABLE:
        assert not row.says.endswith(".")
        assert row.says[0].islower() or row.says.startswith("Slurm")
        assert not row.remedy or row.remedy[0].isupper() or row.remedy.startswith("`")


def test_a_row_behind_another_one_is_not_hidden_by_it() -> None:
    for row in TABLE:
        for word in row.words:
            assert explain(word.replace("*", "")).says == row.says or "*" in word, word


def test_what_never_starts_comes_with_a_remedy() -> None:
    assert all(row.remedy for row in TABLE if row.fate in {Fate.NEVER, Fate.HELD})


def test_the_page_is_what_make_docs_would_write() -> None:
    assert fill(PAGE) == PAGE, "docs/reasons.md is stale: run `make docs`"


def test_a_page_without_the_mark_is_left_alone() -> None:
    with pytest.raises(ValueError, match="lacks the line"):
        fill("# Something else\n")


def test_every_word_is_on_the_page_below_the_mark() -> None:
    below = PAGE.partition(MARK)[2]
    for row in TABLE:
        assert f"| {', '.join(f'`{word}`' for word in row.words if word)} | {row.says} |" in below
