"""How many jobs Slurm takes from one user, as scontrol and sacctmgr tell it (recorded: 22.05.8)."""

from __future__ import annotations

import pytest

from orchestrator.cluster.base import Quota
from orchestrator.cluster.checkup import read_config
from orchestrator.cluster.commands import CallBudget, Commands
from orchestrator.cluster.complaints import was_turned_away
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
ASSOCIATIONS = """headway|a1||normal|30|
headway|a2||normal|12|
elsewhere|a1||normal|3|
"""
QOS = """normal|20||
high|||7
"""
SACCTMGR = """case "$*" in *" assoc "*) cat <<'END'
{associations}END
;; *) cat <<'END'
{qos}END
;; esac"""


def ask(
    site: Site,
    *,
    config: str = CONFIG,
    associations: str = ASSOCIATIONS,
    rows: str = QOS,
    account: str | None = None,
    qos: str | None = None,
) -> Quota:
    """Ask a site that prints this."""
    site.prints("scontrol", config)
    site.command("sacctmgr", SACCTMGR.format(associations=associations, qos=rows))
    commands = Commands(CallBudget())
    quotas = Quotas(
        commands, accounting=commands, user="me", account=account, qos=qos, limit_seconds=5
    )
    return quotas.ask()


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


def test_limits_that_slurm_does_not_go_by_are_none(site: Site) -> None:
    config = CONFIG.replace("associations,limits,qos", "associations")
    assert ask(site, config=config).most_jobs is None
    assert not any(call.startswith("sacctmgr") for call in site.calls())


def test_a_user_without_limits_has_none(site: Site) -> None:
    assert ask(site, associations="headway|a1||||\n", rows="").most_jobs is None


def test_commands_that_fail_tell_nothing_and_break_nothing(site: Site) -> None:
    site.fails("scontrol", "Unable to contact slurm controller")
    site.fails("sacctmgr", "sacctmgr: error: slurmdbd is away")
    commands = Commands(CallBudget())
    quotas = Quotas(
        commands, accounting=commands, user="me", account=None, qos=None, limit_seconds=5
    )
    assert quotas.ask() == Quota()


def test_an_accounting_that_is_away_for_a_while_lifts_no_limit(site: Site) -> None:
    site.prints("scontrol", CONFIG)
    site.command("sacctmgr", SACCTMGR.format(associations=ASSOCIATIONS, qos=QOS))
    commands = Commands(CallBudget())
    quotas = Quotas(
        commands, accounting=commands, user="me", account=None, qos=None, limit_seconds=5
    )
    before = quotas.ask()
    site.fails("sacctmgr", "sacctmgr: error: slurmdbd is away")
    assert before.most_jobs == 20
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
