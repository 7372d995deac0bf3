"""How many jobs Slurm takes from one user, as scontrol and sacctmgr tell it (recorded: 22.05.8)."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.cluster.base import Quota
from orchestrator.cluster.checkup import read_config
from orchestrator.cluster.commands import CallBudget, Commands
from orchestrator.cluster.complaints import was_turned_away
from orchestrator.cluster.parsing import read_squeue
from orchestrator.cluster.quotas import Quotas, largest_array
from tests.scheduler.test_fakes import Site, site

__all__ = ["site"]

CONFIG = """Configuration data as of 2026-11-21T20:40:16
AccountingStorageEnforce = associations,limits,qos
ClusterName             = headway
MaxArraySize            = 11
SchedulerParameters     = sched_interval=1,max_array_tasks=500,bf_interval=1

Slurmctld(primary) at vm is UP
"""
PARTITIONS = """PartitionName=cpu AllowQos=ALL Default=YES QoS=N/A MaxNodes=2 MaxTime=1:00 State=UP
PartitionName=gpu AllowQos=ALL Default=NO QoS=gpus MaxNodes=2 MaxTime=1:00 State=UP
PartitionName=big AllowQos=ALL Default=NO QoS=bigs MaxNodes=2 MaxTime=1:00 State=UP
PartitionName=gpu2 AllowQos=ALL Default=NO QoS=gpus MaxNodes=2 MaxTime=1:00 State=UP
PartitionName=open AllowQos=ALL Default=NO QoS=normal MaxNodes=2 MaxTime=1:00 State=UP
"""
ASSOCIATIONS = """headway|a1|normal|high,low,normal,team|30|
headway|a2|normal|high,low,normal,team|12|
elsewhere|a1|normal|normal|3|
"""
QOS = """normal||20||
high|DenyOnLimit,OverPartQOS|||7
gpus||50||
team|||10|
bigs||60||
"""
SCONTROL = """case "$*" in *" config"*) cat <<'END'
{config}END
;; *) cat <<'END'
{partitions}END
;; esac"""
SACCTMGR = """case "$*" in *" assoc "*) cat <<'END'
{associations}END
;; *) cat <<'END'
{qos}END
;; esac"""


def quotas_of(
    site: Site,
    *,
    config: str = CONFIG,
    associations: str = ASSOCIATIONS,
    rows: str = QOS,
    account: str | None = None,
    qos: str | None = None,
    partition: str | None = None,
) -> Quotas:
    """Return who asks a site that prints this."""
    site.command("scontrol", SCONTROL.format(config=config, partitions=PARTITIONS))
    site.command("sacctmgr", SACCTMGR.format(associations=associations, qos=rows))
    commands = Commands(CallBudget())
    return Quotas(
        commands,
        accounting=commands,
        user="me",
        account=account,
        qos=qos,
        partition=partition,
        limit_seconds=5,
    )


def ask(site: Site, **changes: Any) -> Quota:
    return quotas_of(site, **changes).ask()


@pytest.mark.parametrize(
    ("account", "qos", "most"),
    [
        (None, None, 20),
        ("a1", None, 20),
        ("a2", None, 20),  # and not the 12 of the association
        ("a1", "high", 7),
        ("a2", "high", 7),  # of all users together; the association allows 12 of one
        ("a1", "low", 30),
        ("a2", "low", 12),
        (None, "low", 30),  # by either account
        ("a3", None, None),
    ],
)
def test_the_limit_of_the_qos_stands_before_that_of_the_association(
    site: Site, account: str | None, qos: str | None, most: int | None
) -> None:
    assert ask(site, account=account, qos=qos) == Quota(largest_array=11, most_jobs=most)


@pytest.mark.parametrize(
    ("partition", "qos", "most"),
    [
        ("gpu", None, 50),
        ("gpu,big", None, 60),
        ("gpu,cpu", None, 20),  # where it is cpu that takes it, the job's own holds
        ("gpu", "low", 50),
        ("gpu", "high", 7),
        ("gpu", "team", 10),  # 50 of a user, and of them 10 of an account
        ("unheard-of", None, 20),
    ],
)
def test_the_limit_of_the_partitions_qos_stands_before_that_of_the_jobs(
    site: Site, partition: str, qos: str | None, most: int
) -> None:
    assert ask(site, account="a1", partition=partition, qos=qos).most_jobs == most


@pytest.mark.parametrize(
    ("default", "allowed", "most"),
    [("high", "normal,high", 7), ("", "high", 7), ("", "high,normal", 20), ("", "", 20)],
)
def test_jobs_that_ask_for_no_qos_get_the_usual_one(
    site: Site, default: str, allowed: str, most: int
) -> None:
    assert ask(site, associations=f"headway|a1|{default}|{allowed}||\n").most_jobs == most


@pytest.mark.parametrize(
    ("changes", "job", "is_counted"),
    [
        ({}, "a1|normal|cpu", True),
        ({}, "a9|normal|cpu", True),
        ({}, "a1|low|cpu", False),
        ({"qos": "low"}, "a1|normal|cpu", True),
        ({"qos": "low"}, "a9|normal|cpu", False),
        ({"partition": "gpu"}, "a1|normal|cpu", False),
        ({"partition": "gpu"}, "a1|normal|cpu,gpu", True),
        ({"partition": "gpu"}, "a1|gpus|cpu", True),
        ({"partition": "gpu"}, "a1|normal|gpu2", True),
        ({}, "a1|low|open", True),
        ({"rows": "", "associations": "headway|a1||||\n"}, "a9|low|cpu", True),
    ],
)
def test_only_jobs_of_the_same_qos_or_account_count_towards_a_limit(
    site: Site, changes: dict[str, str], job: str, is_counted: bool
) -> None:
    quotas = quotas_of(site, **changes)
    (row,) = read_squeue(f"7|PENDING||Priority|1|{job}|mine")
    assert quotas.counts(row), "as long as nobody has told anything"
    quotas.ask()
    assert quotas.counts(row) is is_counted


def test_limits_that_slurm_does_not_go_by_are_none(site: Site) -> None:
    config = CONFIG.replace("associations,limits,qos", "associations")
    assert ask(site, config=config).most_jobs is None
    assert not any(call.startswith("sacctmgr") for call in site.calls())


def test_a_user_without_limits_has_none(site: Site) -> None:
    assert ask(site, associations="headway|a1||||\n", rows="").most_jobs is None


def test_commands_that_fail_tell_nothing_and_break_nothing(site: Site) -> None:
    quotas = quotas_of(site)
    site.fails("scontrol", "Unable to contact slurm controller")
    site.fails("sacctmgr", "sacctmgr: error: slurmdbd is away")
    assert quotas.ask() == Quota()


def test_an_accounting_that_is_away_for_a_while_lifts_no_limit(site: Site) -> None:
    quotas = quotas_of(site)
    before = quotas.ask()
    site.fails("sacctmgr", "sacctmgr: error: slurmdbd is away")
    assert before.most_jobs == 20
    assert quotas.ask() == before


def test_a_controller_that_is_away_for_a_while_lifts_no_limit(site: Site) -> None:
    quotas = quotas_of(site, partition="gpu")
    before = quotas.ask()
    site.fails("scontrol", "Unable to contact slurm controller")
    assert before.most_jobs == 50
    assert quotas.ask() == before


@pytest.mark.parametrize(
    ("size", "parameters", "most"),
    [("1001", "", 1001), ("0", "", 1), ("1001", "bf_interval=3,max_array_tasks=20", 20)],
)
def test_the_size_of_an_array_is_bounded_by_index_and_by_tasks(
    size: str, parameters: str, most: int
) -> None:
    config = {"MaxArraySize": size, "SchedulerParameters": parameters}
    assert largest_array(config) == most
    assert largest_array({}) is None


def test_the_configuration_is_read_word_by_word() -> None:
    found = read_config(CONFIG)
    assert found["ClusterName"] == "headway"
    assert largest_array(found) == 11


@pytest.mark.parametrize(
    ("code", "text", "is_so"),
    [
        (1, "too many requests", True),
        (1, "slurm_load_jobs error: Unable to contact slurm controller", False),
        (1, "Socket timed out on send/recv operation", False),
        (None, "squeue did not answer within 60 s", False),
        (127, "no such file", False),
    ],
)
def test_a_call_too_many_is_told_from_a_controller_that_is_away(
    code: int | None, text: str, is_so: bool
) -> None:
    assert was_turned_away(code, text) is is_so


def test_calls_get_rarer_when_they_are_turned_away_and_recover() -> None:
    budget = CallBudget(per_minute=20, burst=40)
    for _ in range(10):
        budget.was_turned_away()
    assert budget.per_minute == 2
    assert budget.pause_seconds() == pytest.approx(60, rel=0.1)
    for _ in range(100):
        budget.was_answered()
    assert budget.per_minute == 20
