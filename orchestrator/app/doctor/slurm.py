"""Slurm as it is seen from here: commands, controller, partition, accounting, rights."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping

from db.person import user_name
from orchestrator.app.doctor.findings import Finding, failed, ok, warning
from orchestrator.cluster.base import Limits, Quota
from orchestrator.cluster.checkup import (
    Association,
    Checkup,
    PartitionFacts,
    complaint,
    has_no_accounting,
    is_about_credentials,
    is_munge_here,
    minds_accounts,
    minds_services,
    missing_commands,
    read_associations,
    read_config,
    read_facts,
)
from orchestrator.cluster.commands import CommandResult
from orchestrator.errors import did_you_mean
from orchestrator.spec.resources import Resources

# A head asks every few seconds; a controller that takes longer is asked less often.
SLOW_SECONDS = 5.0
_SUPPORT = "Tell the cluster's support."
_UP = "UP"
# scontrol(1), "PARTITIONS", State.
_STATES = {
    "DOWN": "it takes jobs and starts none of them",
    "DRAIN": "it takes no new jobs",
    "INACTIVE": "it takes no jobs and starts none",
}


def look_at_commands() -> Finding:
    """Say whether Slurm's commands are there."""
    missing = missing_commands()
    if missing:
        says = f"not on PATH: {', '.join(missing)}"
        remedy = "Type this on a login node, or load the site's module for Slurm first."
        return failed("commands", says, remedy)
    return ok("commands", f"Slurm's commands are there: {shutil.which('sbatch')} and its like")


def look_at_controller(result: CommandResult) -> Iterator[Finding]:
    """Say whether the controller answers, and believes who asks.

    Args:
        result: What came of `Checkup.config`.
    """
    if result.is_ok:
        yield _answering(result)
        yield ok("authentication", "the controller believes who is asking")
    elif is_munge_here(result):
        yield failed(
            "authentication",
            f"munge does not work on this host, so that no command of Slurm does: "
            f"{_munge_line(result)}",
            f"munged has to run here (systemctl status munge). {_SUPPORT}",
        )
    elif is_about_credentials(result):
        yield failed(
            "authentication",
            f"the controller does not believe who is asking: {complaint(result)}",
            "munge on its side may be down, have another key than here, or the clocks differ by "
            f"more than five minutes. {_SUPPORT}",
        )
    elif result.code is None:
        yield failed(
            "controller",
            f"nothing comes back from Slurm: {complaint(result)}",
            "Either munge on this host hangs (`munge -n` then does, too), or the controller. "
            f"{_SUPPORT}",
        )
    else:
        yield failed(
            "controller",
            f"Slurm's controller does not answer: {complaint(result)}",
            f"`scontrol ping` says whether it is up; searches that run wait for it. {_SUPPORT}",
        )


def _answering(result: CommandResult) -> Finding:
    config = read_config(result.output)
    which = f"Slurm {config.get('SLURM_VERSION', '?')}, cluster {config.get('ClusterName', '?')}"
    says = f"{which}, answers in {result.seconds:.2f} s"
    if result.seconds > SLOW_SECONDS:
        remedy = "It is overloaded; Headway then asks less often, and hears of job ends later."
        return warning("controller", says, remedy)
    return ok("controller", says)


def _munge_line(result: CommandResult) -> str:
    lines = [line for line in result.errors.splitlines() if "munge" in line.lower()]
    told = next((line for line in lines if "encode failed" in line), lines[-1])
    return told.partition("error: ")[2].strip() or told.strip()


def look_at_partition(
    asked: CommandResult, limits: Limits | None, wanted: str | None
) -> Iterator[Finding]:
    """Say whether the partition exists, is up, and has hosts that take jobs.

    Args:
        asked: What came of `Checkup.partitions`.
        limits: Its hosts; None: Slurm did not say.
        wanted: Its name, or several as `a,b`; None: the default.
    """
    facts = read_facts(asked.output) if asked.is_ok else {}
    if not facts:
        yield failed("partition", f"Slurm shows no partitions: {complaint(asked)}", _SUPPORT)
        return
    names = [name for name in (wanted or "").split(",") if name]
    chosen = names or [name for name, each in facts.items() if each.is_default]
    if not chosen:
        says = f"there is no default partition here ({', '.join(facts)})"
        yield failed("partition", says, "Name one: --partition.")
    for name in chosen:
        yield _partition(name, facts)
    if limits is not None and all(name in facts for name in chosen):
        yield from _hosts(limits)


def _partition(name: str, facts: Mapping[str, PartitionFacts]) -> Finding:
    found = facts.get(name)
    others = [each.name for each in facts.values() if each.state == _UP and each.name != name]
    instead = f"Those that are up: {', '.join(others)}." if others else "None is up."
    if found is None:
        near = did_you_mean(name, facts)
        return failed("partition", f"there is no partition {name!r}", near or instead)
    if found.state != _UP:
        why = _STATES.get(found.state, "it is not up")
        remedy = f"Take another --partition, or wait. {instead}"
        return failed("partition", f"{name} is {found.state}: {why}", remedy)
    default = " (the default)" if found.is_default else ""
    times = f"jobs of up to {found.max_time}" if found.max_time != "UNLIMITED" else "any time limit"
    return ok("partition", f"{name}{default} is up: {times}")


def _hosts(limits: Limits) -> Iterator[Finding]:
    hosts = limits.hosts.values()
    states = Counter(host.state for host in hosts if not host.is_usable)
    out = ", ".join(f"{count} {state}" for state, count in states.most_common())
    usable = sum(host.is_usable for host in hosts)
    free = sum(host.is_free for host in hosts)
    if not usable:
        says = f"no node takes jobs ({out or 'it has none'})"
        yield failed("nodes", says, "`sinfo -R` shows why. Take another --partition, or wait.")
        return
    says = f"{usable} of {len(hosts)} take jobs, {free} are free now"
    yield ok("nodes", f"{says} ({out})" if out else says)


def look_at_accounting(asked: CommandResult) -> Finding:
    """Say whether `sacct` works.

    Args:
        asked: What came of `Checkup.accounting`.
    """
    goes_on = (
        "Headway goes on without it, by what squeue says; it cannot tell then who cancelled a job."
    )
    if shutil.which("sacct") is None:
        return ok("accounting", f"there is no sacct here. {goes_on.rstrip('.')}")
    if has_no_accounting(asked):
        return ok("accounting", f"this site keeps none. {goes_on.rstrip('.')}")
    if not asked.is_ok:
        remedy = f"{goes_on} {_SUPPORT}"
        return warning("accounting", f"sacct does not work: {complaint(asked)}", remedy)
    return ok("accounting", f"sacct answers in {asked.seconds:.2f} s")


def look_at_limits(quota: Quota) -> Iterator[Finding]:
    """Say how many jobs Slurm takes, as far as it tells; Headway keeps to it by itself."""
    said = []
    if quota.largest_array is not None:
        said.append(f"arrays of up to {quota.largest_array} tasks")
    if quota.most_jobs is not None:
        said.append(f"{quota.most_jobs} jobs of yours that wait or run at once")
    if said:
        yield ok("limits", f"Slurm takes {', '.join(said)}")


def look_at_rights(
    checkup: Checkup, config: Mapping[str, str], resources: Resources
) -> Iterator[Finding]:
    """Say what Slurm lets this user do, where it keeps books about that.

    Args:
        checkup: Asks.
        config: What the controller said of itself.
        resources: What jobs are to ask for.
    """
    if shutil.which("sacctmgr") is None or not minds_accounts(config):
        yield ok("rights", "this site has no rules about accounts and qualities of service")
        return
    user = user_name()
    asked = checkup.associations(user, config.get("ClusterName", ""))
    if not asked.is_ok:
        says = f"nobody knows the accounts of {user}: {complaint(asked)}"
        yield warning("rights", says, "sbatch will tell; the probe tries.")
        return
    found = read_associations(asked.output)
    if not found:
        says = f"Slurm knows no account of {user}, and refuses every job without one"
        yield failed("rights", says, "Ask the cluster's support to add you to an account.")
        return
    yield from _rights(found, resources, qos=resources.qos if minds_services(config) else None)


def _rights(
    found: list[Association], resources: Resources, *, qos: str | None
) -> Iterator[Finding]:
    accounts = list(dict.fromkeys(each.account for each in found))
    # Slurm keeps its names in lower case, and takes them in any.
    wanted = (resources.account or "").lower()
    mine = [each for each in found if wanted in {"", each.account}]
    if not mine:
        near = did_you_mean(resources.account or "", accounts)
        says = f"you may not use the account {resources.account!r} (yours: {', '.join(accounts)})"
        yield failed("rights", says, near or "Take one of yours: --account.")
        return
    services = list(dict.fromkeys(word for each in mine for word in each.qos))
    if qos is not None and qos.lower() not in services:
        near = did_you_mean(qos, services)
        says = f"you may not use the quality of service {qos!r} ({', '.join(services)})"
        yield failed("rights", says, near or "Take one of yours: --qos.")
        return
    limits = [f"{name}={value}" for each in mine for name, value in each.limits.items()]
    says = f"accounts: {', '.join(accounts)}; qualities of service: {', '.join(services) or '-'}"
    more = f"; {', '.join(dict.fromkeys(limits))}" if limits else ""
    yield ok("rights", f"{says}{more}")
