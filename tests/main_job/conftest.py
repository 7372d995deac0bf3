from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place


@pytest.fixture
def laptop(tmp_path: Path) -> Place:
    """A machine without Slurm."""
    return Place(tmp_path)


@pytest.fixture
def login_node(tmp_path: Path, slurm_cluster: PrivateSlurm) -> Place:
    """A login node of the private Slurm."""
    return Place(tmp_path, slurm_cluster.environment())
