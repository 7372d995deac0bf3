"""What each trial asks of the scheduler."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, field_validator

from orchestrator.spec.hostlists import expand_hosts


class Resources(BaseModel):
    """Resources of one trial.

    Attributes:
        partition: Partition, or several as `a,b`; None: the site's default.
        memory_mb: Memory of a node for the trial, in MiB; None: the site's default.
        cpus: CPUs of the trial's one task.
        gpus: GPUs a node.
        nodes: Nodes.
        minutes: Time limit of the Slurm job in minutes; None: the site's default.
        requeue: Slurm starts a job again that it has preempted or whose node failed; else Headway
            submits a new one.
        exclude: Names of hosts to avoid; lists of them (`node[1-3]`) become their names.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    partition: str | None = None
    memory_mb: int | None = None
    cpus: int = 1
    gpus: int = 0
    nodes: int = 1
    minutes: int | None = None
    account: str | None = None
    reservation: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None
    exclude: tuple[str, ...] = ()
    requeue: bool = False

    @field_validator("exclude")
    @classmethod
    def _name_by_name(cls, exclude: tuple[str, ...]) -> tuple[str, ...]:
        return expand_hosts(exclude)
