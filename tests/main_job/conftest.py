from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Place]:
    """A machine without Slurm."""
    with Place(tmp_path) as place:
        yield place


@pytest.fixture
def login_node(tmp_path: Path, slurm_cluster: PrivateSlurm) -> Iterator[Place]:
    """A login node of the private Slurm."""
    with Place(tmp_path, slurm_cluster.environment()) as place:
        yield place
