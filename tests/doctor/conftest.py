"""A login node, with stand-ins for Slurm's commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place
from tests.scenarios.wrappers import Wrappers


@pytest.fixture
def wrappers(tmp_path: Path) -> Wrappers:
    """First on PATH of `login_node`."""
    return Wrappers(tmp_path / "bin")


@pytest.fixture
def login_node(tmp_path: Path, slurm_cluster: PrivateSlurm, wrappers: Wrappers) -> Iterator[Place]:
    """A login node of the private Slurm; a test that fails leaves no jobs to the next one."""
    with Place(tmp_path, slurm_cluster.environment() | wrappers.environment()) as place:
        yield place
    slurm_cluster.run("scancel", "--me", check=False)
