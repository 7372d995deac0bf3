"""Why Slurm lets a job wait."""

from __future__ import annotations

import pytest

from orchestrator.cli.slurm_reasons import TABLE, explain


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("Priority", "other jobs come before"),
        ("(Resources)", "next in line"),
        ("PartitionTimeLimit", "wait for ever"),
        ("BadConstraints", "no host is left"),
        ("ReqNodeNotAvail, UnavailableNodes:node[1-4]", "down, drained or reserved"),
        ("ReqNodeNotAvail, Reserved for maintenance", "maintenance"),
        ("Nodes required for job are DOWN, DRAINED or reserved for jobs", "down, drained"),
        ("QOSMaxSubmitJobPerUserLimit", "as many jobs queued"),
        ("QOSMaxCpuPerUserLimit", "limit of its quality of service"),
        ("AssocGrpCPUMinutesLimit", "limit of your account"),
        ("JobHeldUser", "you, or somebody"),
        ("JobHeldAdmin", "administration"),
        ("launch failed requeued held", "could not start it"),
        ("JobArrayTaskLimit", "array"),
    ],
)
def test_a_reason_of_squeue_is_told_in_words(word: str, part: str) -> None:
    found = explain(word)
    assert found is not None
    assert part in found.says


def test_a_reason_that_nobody_knows_is_not_explained() -> None:
    assert explain("FluxCapacitor") is None


def test_each_reason_is_a_part_of_a_sentence_and_each_remedy_a_whole_one() -> None:
    for reason in TABLE:
        assert not reason.says.endswith(".")
        assert reason.says[0].islower() or reason.says.startswith("Slurm")
