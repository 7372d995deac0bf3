"""Scenario 2: one of four nodes ends every job at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place
from tests.scenarios.black_hole import AT_ONCE, BROKEN, command, four_nodes
from tests.scenarios.evidence import Evidence, jobs_left

pytestmark = pytest.mark.slurm
# When the head knew of the first failure there.
KNOWN = "(SELECT MIN(created_at) FROM event WHERE kind = 'suspect')"


@pytest.fixture
def place(login_node: Place, slurm_cluster: PrivateSlurm) -> Iterator[Place]:
    """A login node of a cluster with a partition of four nodes."""
    with four_nodes(slurm_cluster):
        yield login_node


def hosts_of_later_attempts(evidence: Evidence, *, submitted: str) -> list[str]:
    """Return where attempts began after the first failure was known.

    Args:
        evidence: The search.
        submitted: `<` for those that waited in Slurm at that time, `>=` for those submitted later.
    """
    query = (
        "SELECT host FROM attempt JOIN submission ON submission.id = attempt.submission_id "
        f"WHERE attempt.started_at > {KNOWN} AND submission.created_at {submitted} {KNOWN}"
    )
    return [str(host) for (host,) in evidence.rows(query)]


def assert_excluded_with_evidence(evidence: Evidence) -> None:
    ((host, source, reason, is_open),) = evidence.rows(
        "SELECT host.name, exclusion.source, exclusion.reason, exclusion.ended_at IS NULL "
        "FROM exclusion JOIN host ON host.id = exclusion.host_id"
    )
    assert (host, source, bool(is_open)) == (BROKEN, "HEADWAY", True)
    assert "failed here and succeeded on another host" in reason
    (event,) = evidence.events("excluded")
    assert event["host"] == BROKEN
    (stored,) = evidence.payloads("SELECT evidence FROM exclusion")
    assert stored["probability"] > 0.95
    assert stored["blamed"] >= 2
    assert all(example["succeeded_on"] != BROKEN for example in stored["examples"])
    shown = {row["host"]: row for row in evidence.place.json("hosts", evidence.name)}
    assert shown[BROKEN]["state"] == "EXCLUDED"
    assert shown[BROKEN]["succeeded"] == 0
    assert shown[BROKEN]["reason"] == reason
    assert {row["state"] for host, row in shown.items() if host != BROKEN} == {"GOOD"}


@pytest.mark.parametrize("trials", [30, pytest.param(100, marks=pytest.mark.slow)])
def test_a_black_hole_is_left_alone_and_all_trials_finish(
    place: Place, slurm_cluster: PrivateSlurm, trials: int
) -> None:
    output = place.run(*command("hole", trials))
    evidence = Evidence(place, "hole")
    evidence.assert_exactly(trials)
    assert jobs_left(slurm_cluster, "hole") == []
    assert_excluded_with_evidence(evidence)
    assert BROKEN in output
    # What it had taken when its first failure became known, and at most three more.
    eaten = evidence.rows(f"SELECT count(*) FROM attempt WHERE host = '{BROKEN}'")[0][0]
    assert 1 <= eaten <= AT_ONCE + 3
    assert BROKEN not in hosts_of_later_attempts(evidence, submitted=">=")
    if hosts_of_later_attempts(evidence, submitted="<"):
        assert evidence.events("steered")[0]["exclude"] == [BROKEN]


@pytest.mark.slow
def test_without_the_guard_the_black_hole_eats_trials(place: Place) -> None:
    code, output = place.start(*command("eaten", 100, "--no-auto-exclude", "--retries", "0")).wait()
    assert code == 0, output
    evidence = Evidence(place, "eaten")
    assert evidence.statuses()["FAILED"] > 20
    assert evidence.rows("SELECT count(*) FROM exclusion") == [(0,)]
