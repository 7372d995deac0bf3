"""What the user should know about options that this site does not take: one line each."""

from __future__ import annotations

from collections.abc import Collection

from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.spec.site import Site

# The options of run that become an option of sbatch of another name.
_BECOMES = {
    "mem_gb": "mem",
    "cpus_per_task": "cpus-per-task",
    "nodes_per_job": "nodes",
    "worker_timeout": "time",
    **{
        name: name
        for name in ("partition", "account", "qos", "reservation", "constraint", "gres", "exclude")
    },
}


def site_notices(spec: ExperimentSpec) -> list[str]:
    """Say which options of a run are not sent, as the site refuses them."""
    wanted = spec.resources
    given = {
        "mem_gb": wanted.memory_mb,
        "worker_timeout": wanted.minutes,
        "cpus_per_task": wanted.cpus > 1,
        "nodes_per_job": wanted.nodes > 1,
        **{name: getattr(wanted, name) for name in ("partition", "account", "qos", "reservation")},
        **{name: getattr(wanted, name) for name in ("constraint", "gres", "exclude", "gpus")},
    }
    return omission_notices(spec.site, given={name for name, value in given.items() if value})


def omission_notices(site: Site, *, given: Collection[str]) -> list[str]:
    """Say which options that were given are not sent.

    Args:
        site: What is left out.
        given: Names of options of run.
    """
    becomes = _BECOMES | {"gpus": site.gpu_option}
    return [
        f"--{name}: not sent, since the profile {site.profile} leaves --{option} of sbatch out"
        for name, option in becomes.items()
        if name in given and option in site.omit
    ]
