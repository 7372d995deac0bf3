"""What a job is told to avoid never makes it impossible, and never forgets what a person said."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cluster.base import ClusterHost, Limits
from orchestrator.health.retries import Request
from orchestrator.steps.avoidance import Avoidance, KeptOut, Relaxed

NAMES = [f"n{index}" for index in range(6)]
some = st.frozensets(st.sampled_from([*NAMES, "gone"]))
hosts = st.builds(
    ClusterHost,
    name=st.just(""),
    memory_mb=st.sampled_from([None, 1000, 4000]),
    is_usable=st.booleans(),
)
fleets = st.dictionaries(st.sampled_from(NAMES), hosts, min_size=1)
kept = st.builds(KeptOut, by_person=some, by_evidence=some, suspects=some)
requests = st.builds(
    Request,
    memory_mb=st.sampled_from([None, 2000]),
    minutes=st.none(),
    timeout_seconds=st.none(),
    avoid=some,
)


def avoidance(fleet: dict[str, ClusterHost], kept_out: KeptOut, nodes: int) -> Avoidance:
    """What a head keeps that knows these hosts."""
    named = {
        name: ClusterHost(name=name, memory_mb=host.memory_mb, is_usable=host.is_usable)
        for name, host in fleet.items()
    }
    made = Avoidance(nodes=nodes)
    made.take_limits(Limits(known=frozenset(NAMES), hosts=named))
    made.keep_out(kept_out)
    return made


def places(made: Avoidance, request: Request, without: frozenset[str] | set[str]) -> set[str]:
    """The hosts where a job with this request can run that avoids these."""
    needed = request.memory_mb or 0
    return {
        host.name
        for host in made.limits.hosts.values()
        if host.is_usable and (host.memory_mb or needed) >= needed
    } - without


@given(fleets, kept, requests, st.integers(1, 3))
def test_a_job_keeps_the_hosts_that_it_needs(
    fleet: dict[str, ClusterHost], kept_out: KeptOut, request: Request, nodes: int
) -> None:
    made = avoidance(fleet, kept_out, nodes)
    found = set(made.to_avoid(request))
    assert "gone" not in found
    assert found >= kept_out.by_person - {"gone"}
    possible = len(places(made, request, kept_out.by_person))
    assert len(places(made, request, found)) >= min(nodes, possible)
    # Nobody is avoided without a reason.
    reasons = kept_out.by_person | kept_out.by_evidence | kept_out.suspects | request.avoid
    assert found <= reasons


@given(fleets, kept, requests)
def test_what_weighs_more_is_let_go_last(
    fleet: dict[str, ClusterHost], kept_out: KeptOut, request: Request
) -> None:
    made = avoidance(fleet, kept_out, 1)
    before = set(made.to_avoid(request))
    while (let_go := made.relax(has_failed=True)) is not None:
        left = set(made.to_avoid(request))
        heavier = kept_out.by_person | kept_out.by_evidence
        assert let_go == Relaxed.EXCLUDED or left & heavier >= before & kept_out.by_evidence
        assert len(left - heavier - kept_out.suspects) == 0
    assert set(made.to_avoid(request)) == kept_out.by_person - {"gone"}


def test_each_change_of_what_is_avoided_is_a_new_version() -> None:
    made = avoidance({"n1": ClusterHost(name="n1")}, KeptOut(), 1)
    version = made.version
    made.keep_out(KeptOut())
    assert made.version == version
    made.keep_out(KeptOut(suspects=frozenset({"n1"})))
    assert made.version == version + 1
    assert made.relax(has_failed=False) == Relaxed.SUSPECTS
    assert made.version == version + 2
    made.take_limits(Limits())
    assert made.version == version + 3


def test_as_long_as_nobody_knows_the_hosts_a_retry_avoids_none() -> None:
    made = Avoidance(nodes=1)
    made.keep_out(KeptOut(by_person=frozenset({"n1"})))
    request = Request(None, None, None, avoid=frozenset({"n2"}))
    assert made.to_avoid(request) == ("n1",)
