"""What we use of submitit: the text of the script, and none of its jobs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import submitit
from submitit.slurm.slurm import SlurmJob

from orchestrator.cluster.base import AnswerKind, Order
from orchestrator.cluster.slurm import SlurmCluster
from orchestrator.spec.experiment import Timing
from orchestrator.spec.resources import Resources
from tests.scheduler.test_fakes import Site, site

__all__ = ["site"]

ENTRY = Path("/opt/head way/worker/entry.py")
COMMAND = f"exec {sys.executable} -I -S -X utf8 '/opt/head way/worker/entry.py' /runs/e/1 t0ken"
SINGLE = f"""#!/bin/bash

# Parameters
#SBATCH --cpus-per-task=1
#SBATCH --job-name=hw-e-t0ken
#SBATCH --no-requeue
#SBATCH --nodes=1
#SBATCH --open-mode=append
#SBATCH --output=/runs/e/1/logs/t0/t0ken_0.log
#SBATCH --signal=B:USR2@60

# command
export SUBMITIT_EXECUTOR=slurm
{COMMAND}
"""
ARRAY = f"""#!/bin/bash

# Parameters
#SBATCH --account=acc
#SBATCH --array=0-2%3
#SBATCH --constraint='a&b'
#SBATCH --cpus-per-task=4
#SBATCH --exclude=node3,node4
#SBATCH --gpus-per-node=2
#SBATCH --gres=lustre:1
#SBATCH --job-name=hw-e-t0ken
#SBATCH --mem=1500M
#SBATCH --no-requeue
#SBATCH --nodes=2
#SBATCH --open-mode=append
#SBATCH --output=/runs/e/1/logs/t0/t0ken_%a.log
#SBATCH --partition=alpha,beta
#SBATCH --qos=high
#SBATCH --reservation=maintenance
#SBATCH --signal=B:USR2@60
#SBATCH --time=90

# command
export SUBMITIT_EXECUTOR=slurm
{COMMAND}
"""
ALL = Resources(
    partition="alpha,beta",
    memory_mb=1500,
    cpus=4,
    gpus=2,
    nodes=2,
    minutes=90,
    account="acc",
    reservation="maintenance",
    qos="high",
    constraint="a&b",
    gres="lustre:1",
    exclude=("node3", "node4"),
)


def cluster() -> SlurmCluster:
    return SlurmCluster(entry=ENTRY, timing=Timing(), user="me")


def order(size: int, resources: Resources, run_dir: Path = Path("/runs/e/1")) -> Order:
    return Order(
        token="t0ken",
        name="hw-e-t0ken",
        size=size,
        resources=resources,
        run_dir=run_dir,
        log_pattern="logs/t0/t0ken_{index}.log",
    )


@pytest.mark.parametrize(("size", "resources", "text"), [(1, Resources(), SINGLE), (3, ALL, ARRAY)])
def test_the_script_is_this_text(size: int, resources: Resources, text: str) -> None:
    assert cluster().script(order(size, resources)) == text


def test_a_job_may_be_started_again_by_slurm_only_if_that_was_asked_for() -> None:
    text = cluster().script(order(1, Resources(requeue=True)))
    assert "#SBATCH --requeue\n" in text
    assert "#SBATCH --open-mode=append\n" in text, "each run adds to the log"
    assert "no-requeue" not in text


def test_showing_a_script_leaves_nothing_on_disk(tmp_path: Path) -> None:
    cluster().script(order(1, Resources(), tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []


def test_what_sbatch_gets_is_what_is_shown(site: Site, tmp_path: Path) -> None:
    site.prints("sbatch", "7")
    run = tmp_path / "run"
    run.mkdir()
    wanted = order(3, ALL, run)
    assert cluster().submit(wanted).kind == AnswerKind.ACCEPTED
    assert (run / "submissions" / "7.sh").read_text() == cluster().script(wanted)


@pytest.mark.parametrize(
    "name",
    ["SLURM_RESTART_COUNT", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_JOB_ID", "SLURM_MEM_PER_NODE"],
)
def test_a_head_that_is_a_job_tells_its_trials_nothing_that_is_true_of_its_own_job(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "2")
    site.command("sbatch", f'echo "[${{{name}-nothing}}]"')
    answer = cluster().submit(order(1, Resources(), tmp_path))
    assert answer.message == "[nothing]"


def test_a_percent_sign_in_the_path_is_no_pattern_of_slurm(tmp_path: Path) -> None:
    text = cluster().script(order(1, Resources(), tmp_path / "100%j"))
    (line,) = [line for line in text.splitlines() if "--output" in line]
    assert "100%%j" in line


def test_no_job_of_submitit_is_made_and_its_watcher_stays_silent(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*words: Any, **named: Any) -> None:
        raise AssertionError("submitit made a job, which asks sacct without a time limit")

    monkeypatch.setattr(SlurmJob, "__init__", refuse)
    site.prints("sbatch", "7")
    site.command("sacct", "sleep 60")
    (tmp_path / "run").mkdir()
    found = cluster().submit(order(3, ALL, tmp_path / "run"))
    assert found.job_ids == ("7_0", "7_1", "7_2")
    assert not any(call.startswith("sacct") for call in site.calls())


def test_the_installed_submitit_is_one_that_was_tried() -> None:
    assert submitit.__version__.startswith("1.5.")
