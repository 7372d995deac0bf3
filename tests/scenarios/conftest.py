"""What a scenario has at hand: a login node of a private Slurm, and a PostgreSQL database."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import slurm
from tests.cluster.fixtures import require_programs
from tests.cluster.munge import socket_path
from tests.cluster.slurm import Partition, PrivateSlurm, SlurmSettings
from tests.main_job.runs import Place
from tests.scenarios.wrappers import Wrappers


@pytest.fixture
def wrappers(tmp_path: Path) -> Wrappers:
    """Commands of Slurm that do not what they should; first on PATH of `login_node`."""
    return Wrappers(tmp_path / "bin")


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Place]:
    """A machine without Slurm."""
    with Place(tmp_path) as place:
        yield place


@pytest.fixture
def login_node(tmp_path: Path, slurm_cluster: PrivateSlurm, wrappers: Wrappers) -> Iterator[Place]:
    """A login node of the private Slurm; a test that fails leaves no jobs to the next one."""
    with Place(tmp_path, slurm_cluster.environment() | wrappers.environment()) as place:
        yield place
    slurm_cluster.run("scancel", "--me", check=False)


@pytest.fixture(scope="session")
def preempting_cluster() -> Iterator[PrivateSlurm]:
    """A Slurm of two nodes where jobs of the partition `high` push out those of `low`.

    A job may only be requeued if it asked for that. It then waits for 5 s instead of two minutes:
    as long as the credentials of its first run are good.
    """
    folder = Path(tempfile.mkdtemp(prefix="headway-slurm-", dir="/tmp"))
    settings = SlurmSettings(
        nodes=2,
        gpus=0,
        accounting=False,
        partitions=(
            Partition(name="low", default=True, options=("PriorityTier=1",)),
            Partition(name="high", options=("PriorityTier=2", "PreemptMode=OFF")),
            Partition(name="cut", options=("PriorityTier=1", "PreemptMode=CANCEL", "GraceTime=5")),
            Partition(name="short", options=("PriorityTier=1", "MaxTime=2", "DefaultTime=2")),
        ),
        extra_lines=(
            "PreemptType=preempt/partition_prio",
            "PreemptMode=REQUEUE",
            f"AuthInfo=socket={socket_path(folder)},cred_expire=5",
        ),
    )
    require_programs("Slurm", slurm.required_programs(settings))
    with PrivateSlurm(settings, folder) as cluster:
        yield cluster
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def preempting_place(tmp_path: Path, preempting_cluster: PrivateSlurm) -> Iterator[Place]:
    """A login node of that cluster; a test that fails leaves it to the next one as it found it."""
    with Place(tmp_path, preempting_cluster.environment()) as place:
        yield place
    for node in preempting_cluster.settings.node_names:
        preempting_cluster.start_node(node)
    preempting_cluster.run("scancel", "--me", check=False)
    preempting_cluster.wait_ready()
