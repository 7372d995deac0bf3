"""Which nodes `headway doctor` probes."""

from __future__ import annotations

from orchestrator.app.doctor.findings import Status
from orchestrator.app.doctor.targets import ALL_NODES, choose
from orchestrator.cluster.base import ClusterHost, Limits

HOSTS = (
    ClusterHost(name="busy", state="allocated"),
    ClusterHost(name="down", is_usable=False, state="down"),
    ClusterHost(name="free", is_free=True, state="idle"),
)
LIMITS = Limits(
    known=frozenset({"busy", "down", "free", "elsewhere"}),
    hosts={host.name: host for host in HOSTS},
)


def test_one_job_goes_wherever_slurm_takes_it_if_nothing_is_said() -> None:
    assert choose(None, None, None) == ([None], None)


def test_free_hosts_are_probed_first_and_those_that_are_out_never() -> None:
    assert choose(1, LIMITS, None) == (["free"], None)
    assert choose(ALL_NODES, LIMITS, None) == (["free", "busy"], None)


def test_fewer_than_wanted_are_probed_with_a_warning() -> None:
    chosen, odd = choose(3, LIMITS, None)
    assert chosen == ["free", "busy"]
    assert odd is not None
    assert odd.status is Status.WARNING


def test_a_node_that_is_out_can_be_named() -> None:
    assert choose(("down",), LIMITS, None) == (["down"], None)


def test_a_node_of_another_partition_is_refused() -> None:
    chosen, odd = choose(("free", "elsewhere"), LIMITS, "alpha")
    assert chosen == []
    assert odd is not None
    assert (odd.says, odd.host) == ("elsewhere is not in alpha", "elsewhere")


def test_nothing_is_claimed_of_nodes_while_sinfo_does_not_answer() -> None:
    chosen, odd = choose(("free",), None, None)
    assert chosen == []
    assert odd is not None
    assert "sinfo does not tell" in odd.says
