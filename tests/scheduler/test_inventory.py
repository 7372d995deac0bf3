"""What Slurm has, as sinfo and scontrol print it (recorded: 22.05.8)."""

from __future__ import annotations

import pytest

from orchestrator.app.heads import make_cluster
from orchestrator.cluster.base import Limits
from orchestrator.cluster.slurm import check_exclude
from orchestrator.errors import UsageError
from tests.scheduler.test_fakes import Site, cluster, site
from tests.steps.specs import make_spec

__all__ = ["site"]

HOSTS = """node1|alpha*|1000|2|idle|infinite|n/a
node1|beta|1000|2|idle|1:00:00|30:00
node2|alpha*|4000|8|mixed|infinite|n/a
node2|beta|4000|8|mixed|1:00:00|30:00
node3|gamma|9000|2|drained|2-00:00:00|n/a
babble
"""
PARTITIONS = """PartitionName=alpha AllowGroups=ALL DefaultTime=NONE MaxMemPerNode=UNLIMITED TRES=cpu=8
PartitionName=beta AllowGroups=ALL DefaultTime=00:30:00 MaxMemPerNode=3000 TRES=cpu=8,mem=4000M
PartitionName=gamma AllowGroups=ALL DefaultTime=NONE MaxMemPerCPU=300
"""


@pytest.fixture(autouse=True)
def _site(site: Site) -> None:
    site.prints("sinfo", HOSTS)
    site.prints("scontrol", PARTITIONS)


def limits(partition: str | None) -> Limits:
    found = cluster().limits(partition)
    assert found is not None
    assert found.known == {"node1", "node2", "node3"}, "also those of other partitions"
    return found


@pytest.mark.parametrize(
    ("partition", "hosts", "memory", "minutes", "default"),
    [
        (None, {"node1", "node2"}, 4000, None, None),
        ("alpha", {"node1", "node2"}, 4000, None, None),
        ("beta", {"node1", "node2"}, 3000, 60, 30),
        ("gamma", {"node3"}, 9000, 2880, 2880),
        ("beta,gamma", {"node1", "node2", "node3"}, 9000, 2880, 2880),
        ("alpha,beta", {"node1", "node2"}, 4000, None, None),
        ("nowhere", set(), None, None, None),
    ],
)
def test_the_limits_are_the_widest_of_the_partitions(
    partition: str | None,
    hosts: set[str],
    memory: int | None,
    minutes: int | None,
    default: int | None,
) -> None:
    found = limits(partition)
    assert set(found.hosts) == hosts
    assert (found.memory_mb, found.minutes, found.default_minutes) == (memory, minutes, default)


def test_a_partition_may_be_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBATCH_PARTITION", "gamma")
    assert set(limits(None).hosts) == {"node3"}
    assert set(limits("alpha").hosts) == {"node1", "node2"}


def test_all_limits_are_two_calls(site: Site) -> None:
    limits("alpha,beta")
    assert [call.split()[0] for call in site.calls()] == ["sinfo", "scontrol"]


def test_a_partition_whose_limits_nobody_tells_has_those_of_its_hosts(site: Site) -> None:
    site.fails("scontrol", "Unable to contact slurm controller")
    assert limits("beta").memory_mb == 4000


def test_a_silent_controller_has_no_limits_that_anybody_knows(site: Site) -> None:
    site.fails("sinfo", "Unable to contact slurm controller")
    assert cluster().limits("alpha") is None


@pytest.mark.parametrize(
    ("state", "is_usable", "is_free"),
    [
        ("idle", True, True),
        ("idle~", True, True),
        ("idle-", True, False),
        ("idle#", True, False),
        ("mixed", True, False),
        ("allocated+", True, False),
        ("idle*", False, False),
        ("idle$", False, False),
        ("draining", False, False),
        ("down*", False, False),
        ("reserved", False, False),
    ],
)
def test_a_host_takes_jobs_in_some_states(
    site: Site, state: str, is_usable: bool, is_free: bool
) -> None:
    site.prints("sinfo", HOSTS.replace("idle", state))
    host = limits(None).hosts["node1"]
    assert (host.is_usable, host.is_free, host.state) == (is_usable, is_free, state)


# Reservations

RESERVATIONS = """ReservationName=course StartTime=2026-11-21T18:35:06 Nodes=node[1,3] NodeCnt=2 State=ACTIVE
ReservationName=fix StartTime=2026-11-21T18:35:06 Nodes=node2 NodeCnt=1 Flags=MAINT State=ACTIVE
ReservationName=licenses StartTime=2026-11-21T18:35:06 Nodes=(null) NodeCnt=0 State=ACTIVE"""


def reserve(site: Site) -> None:
    """Let Slurm have reservations."""
    site.prints("sinfo", HOSTS.replace("idle", "reserved").replace("mixed", "maint"))
    shown = f"cat <<'END'\n{RESERVATIONS}\nEND"
    site.command("scontrol", f'if [ "$2" = reservation ]; then {shown}\nfi')


@pytest.mark.parametrize(
    ("reservation", "hosts"),
    [
        (None, {"node1": False, "node2": False}),
        ("course", {"node1": True}),
        ("course,fix", {"node1": True, "node2": True}),
        ("licenses", {"node1": False, "node2": False}),
        ("over", {"node1": False, "node2": False}),
    ],
)
def test_jobs_of_a_reservation_get_its_hosts_and_no_others(
    site: Site, reservation: str | None, hosts: dict[str, bool]
) -> None:
    reserve(site)
    slurm = cluster()
    slurm.reservation = reservation
    found = slurm.limits("alpha")
    assert found is not None
    assert {host.name: host.is_usable for host in found.hosts.values()} == hosts
    assert {host.name: host.is_free for host in found.hosts.values()} == hosts
    assert found.known == {"node1", "node2", "node3"}


def test_a_reservation_is_one_of_the_request_or_the_environment(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve(site)
    spec = make_spec(resources={"partition": "alpha", "reservation": "course"})
    site.prints("sinfo", "alpha")
    found = make_cluster(spec)
    reserve(site)
    monkeypatch.setenv("SBATCH_RESERVATION", "fix")
    for slurm, hosts in ((found, {"node1"}), (cluster(), {"node2"})):
        limits = slurm.limits("alpha")
        assert limits is not None
        assert set(limits.hosts) == hosts


def test_where_nobody_says_what_is_reserved_nothing_is_known(site: Site) -> None:
    reserve(site)
    site.fails("scontrol", "Unable to contact slurm controller")
    slurm = cluster()
    slurm.reservation = "course"
    assert slurm.limits("alpha") is None


# --exclude


def test_hosts_that_exist_may_be_excluded_if_one_is_left() -> None:
    check_exclude(["node1", "node3"], limits("alpha"))
    check_exclude(["node1"], None)
    check_exclude(["node1"], Limits())


@pytest.mark.parametrize(
    ("wanted", "says", "hint"),
    [
        (["node1", "nod2"], "Slurm has no node 'nod2'", "Did you mean node2?"),
        (["xyz"], "Slurm has no node 'xyz'", ""),
        (["node2", "node1"], r"no node of the partition would be left \(node1, node2\)", ""),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(wanted: list[str], says: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"^--exclude: {says}") as raised:
        check_exclude(wanted, limits("alpha"))
    assert raised.value.hint == hint


def test_a_search_that_goes_on_may_name_a_host_that_is_gone_by_now() -> None:
    spec = make_spec(resources={"exclude": ["node[1,9]"]})
    make_cluster(spec, is_new=False)
    with pytest.raises(UsageError, match="'node9'"):
        make_cluster(spec)
