"""What Slurm says of itself, as it was recorded (22.05.8), and what `headway doctor` makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.app.doctor.findings import Finding, Status
from orchestrator.app.doctor.slurm import look_at_controller, look_at_partition, look_at_rights
from orchestrator.cluster.base import ClusterHost, Limits
from orchestrator.cluster.checkup import (
    Checkup,
    complaint,
    minds_accounts,
    minds_services,
    read_associations,
    read_config,
    read_facts,
)
from orchestrator.cluster.commands import CallBudget, CommandResult, Commands
from orchestrator.spec.resources import Resources
from tests.scheduler.test_fakes import Site, site

__all__ = ["site"]

PARTITIONS = """\
PartitionName=alpha AllowGroups=ALL AllowAccounts=ALL Default=YES QoS=N/A MaxNodes=UNLIMITED \
MaxTime=UNLIMITED MinNodes=0 Nodes=node[1-3] State=UP TotalCPUs=12 TotalNodes=3 MaxMemPerNode=UNLIMITED
PartitionName=beta AllowGroups=ALL AllowAccounts=ALL Default=NO QoS=N/A MaxNodes=2 \
MaxTime=00:10:00 MinNodes=0 Nodes=node[1-3] State=DRAIN TotalCPUs=12 TotalNodes=3
"""
TIMED_OUT = "slurm_load_ctl_conf error: Socket timed out on send/recv operation\n"
DISBELIEVED = (
    "scontrol: error: slurm_receive_msgs: Zero Bytes were transmitted or received\n"
    "slurm_load_ctl_conf error: Invalid authentication credential\n"
)


def result(*, output: str = "", errors: str = "", seconds: float = 0.1) -> CommandResult:
    code = 1 if errors else 0
    return CommandResult(code=code, output=output, errors=errors, seconds=seconds)


def partition(wanted: str | None, *hosts: ClusterHost) -> list[Finding]:
    limits = Limits(hosts={host.name: host for host in hosts})
    return list(look_at_partition(result(output=PARTITIONS), limits, wanted))


def test_partitions_are_read() -> None:
    found = read_facts(PARTITIONS)
    assert found["alpha"].is_default
    assert (found["beta"].state, found["beta"].max_time) == ("DRAIN", "00:10:00")
    assert found["beta"].max_nodes == "2"


def test_associations_are_read() -> None:
    output = "physics|ada||normal,long|normal|20|50||\nphysics||| normal||||9|\nroot|ada|gpu||normal||||\n"
    first, second = read_associations(output)
    assert (first.account, first.qos) == ("physics", ("normal", "long"))
    assert first.limits == {"MaxJobs": 20, "MaxSubmit": 50}
    assert (second.partition, second.qos, second.limits) == ("gpu", ("normal",), {})


def test_the_configuration_is_read() -> None:
    found = read_config("Configuration data as of 2026\nClusterName             = headway\n\nX =\n")
    assert found == {"ClusterName": "headway", "X": ""}


def test_what_slurm_minds_follows_from_what_it_enforces() -> None:
    enforced = ("", "none", "nojobs,nosteps", "limits", "associations,qos", "all")
    configs = [{"AccountingStorageEnforce": words} for words in enforced]
    assert [minds_accounts(each) for each in configs] == [False, False, False, True, True, True]
    assert [minds_services(each) for each in configs] == [False] * 4 + [True] * 2


def test_a_complaint_is_the_last_line_without_its_marks() -> None:
    assert complaint(result(errors="sacct: error: a\nsacct: error: b: c\n")) == "b: c"
    assert complaint(result(errors=" \n")) == "exit code 1"


def test_a_controller_that_does_not_answer_is_named() -> None:
    (found,) = look_at_controller(result(errors=TIMED_OUT))
    assert (found.check, found.status) == ("controller", Status.FAILED)
    assert "Socket timed out" in found.says


def test_a_command_that_hangs_may_do_so_for_munge() -> None:
    hung = CommandResult(code=None, output="", errors="no answer within 30 s", seconds=30)
    (found,) = look_at_controller(hung)
    assert (found.check, found.status) == ("controller", Status.FAILED)
    assert "munge -n" in found.remedy


def test_a_controller_that_does_not_believe_us_is_told_from_a_dead_munge_here() -> None:
    (found,) = look_at_controller(result(errors=DISBELIEVED))
    assert (found.check, found.status) == ("authentication", Status.FAILED)
    assert "clocks differ" in found.remedy


def test_a_slow_controller_is_a_warning() -> None:
    first, _ = look_at_controller(result(output="ClusterName = headway\n", seconds=9))
    assert (first.check, first.status) == ("controller", Status.WARNING)


def test_nodes_that_take_no_jobs_are_counted_by_their_states() -> None:
    down = ClusterHost(name="node1", is_usable=False, state="down*")
    drained = ClusterHost(name="node2", is_usable=False, state="drained")
    free = ClusterHost(name="node3", is_free=True, state="idle")
    found = {each.check: each for each in partition(None, down, drained, free)}
    assert found["nodes"].says == "1 of 3 take jobs, 1 are free now (1 down*, 1 drained)"
    found = {each.check: each for each in partition(None, down, drained)}
    assert found["nodes"].status is Status.FAILED
    assert "sinfo -R" in found["nodes"].remedy


def test_a_partition_that_does_not_exist_gets_a_near_miss() -> None:
    (found,) = partition("alpa")
    assert (found.status, found.remedy) == (Status.FAILED, "Did you mean alpha?")


@pytest.mark.parametrize(
    ("asked", "enforced", "says"),
    [
        ({"account": "Physics"}, "associations", "accounts: physics; qualities of service: normal"),
        ({"account": "fisics"}, "limits", "you may not use the account 'fisics' (yours: physics)"),
        ({"qos": "fast"}, "qos", "you may not use the quality of service 'fast' (normal)"),
        ({"qos": "fast"}, "associations", "accounts: physics; qualities of service: normal"),
        ({"account": "fisics"}, "nosteps", "this site has no rules about accounts"),
    ],
)
def test_only_rights_that_slurm_enforces_are_missed(
    site: Site, asked: dict[str, Any], enforced: str, says: str
) -> None:
    site.prints("sacctmgr", "physics|ada||normal|normal||||")
    config = {"ClusterName": "c", "AccountingStorageEnforce": enforced}
    (found,) = look_at_rights(Checkup(Commands(CallBudget())), config, Resources(**asked))
    assert found.says.startswith(says)
    assert (found.status is Status.FAILED) is says.startswith("you may not")


def test_each_of_several_partitions_is_looked_at() -> None:
    found = partition("alpha,beta", ClusterHost(name="node1", state="mixed"))
    assert [each.status for each in found] == [Status.OK, Status.FAILED, Status.OK]
    assert found[1].says == "beta is DRAIN: it takes no new jobs"
