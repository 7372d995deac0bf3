"""What a site wants reaches every command of Slurm, and every script, and no other job."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from orchestrator.cluster.base import AnswerKind, KnownJob
from orchestrator.cluster.head_jobs import read_options, submit_script
from orchestrator.cluster.local import LocalCluster
from orchestrator.cluster.preparing import setup_lines
from orchestrator.cluster.slurm import SlurmCluster
from orchestrator.cluster.surroundings import of_another_job
from orchestrator.spec.resources import Resources
from orchestrator.spec.site import GpuOption
from orchestrator.spec.site import Site as Wishes
from tests.cluster.slurm import PrivateSlurm
from tests.scheduler.orders import ENTRY, TIMING, new_order
from tests.scheduler.test_fakes import Site, site

__all__ = ["site"]

# scontrol show job of 22.05.8, shortened.
SHOWN = """\
JobId=9 JobName=my head
   UserId=me(1000) GroupId=me(1000) MCS_label=N/A
   Priority=4294901753 Nice=0 Account=acc QOS=normal
   JobState=RUNNING Reason=None Dependency=(null)
   RunTime=00:00:07 TimeLimit=00:30:00 TimeMin=N/A
   Partition=alpha AllocNode:Sid=localhost:32467
   NumNodes=1 NumCPUs=2 NumTasks=1 CPUs/Task=2 ReqB:S:C:T=0:0:*:*
   MinCPUsNode=2 MinMemoryNode=700M MinTmpDiskNode=0
   Features=(null) DelayBoot=00:00:00
   Command=/opt/slurm_templates/head.sbatch --max_eval 12
   WorkDir=/home/me
   StdErr=/home/me/a b%%.out
   StdOut=/home/me/a b%%.out
"""


def cluster(wishes: Wishes) -> SlurmCluster:
    return SlurmCluster(entry=ENTRY, timing=TIMING, user="me", site=wishes)


def script(wishes: Wishes, resources: Resources) -> list[str]:
    return cluster(wishes).script(new_order(Path("/r"), resources=resources)).splitlines()


def test_every_command_names_the_cluster(site: Site, tmp_path: Path) -> None:
    site.prints("sbatch", "12;big")
    for name in ("scancel", "scontrol", "sinfo"):
        site.command(name, "exit 0")
    big = cluster(Wishes(cluster="big"))
    answer = big.submit(new_order(tmp_path / "run"))
    assert answer.job_ids == ("12",)
    big.survey({"777": KnownJob(name="x")}, names=["y"])
    big.cancel(["12"])
    big.amend(["12"], exclude=["node1"])
    big.limits("alpha")
    big.partitions()
    called = Counter(call.split()[0] for call in site.calls())
    assert set(called) >= {"sbatch", "squeue", "sacct", "scancel", "scontrol", "sinfo"}
    assert all(call.split()[1] == "--clusters=big" for call in site.calls())


def test_what_the_site_refuses_is_nowhere_in_the_script() -> None:
    omit = ("mem", "wckey", "open-mode", "no-requeue", "signal")
    lines = script(Wishes(omit=omit), Resources(memory_mb=100, minutes=5))
    assert not [line for line in lines if line.startswith(tuple(f"#SBATCH --{o}" for o in omit))]
    assert "#SBATCH --time=5" in lines


def test_a_line_of_the_setup_that_looks_like_an_option_stays() -> None:
    lines = script(Wishes(setup=("#SBATCH --mem=1", "true"), omit=("mem",)), Resources())
    assert "#SBATCH --mem=1" in lines[lines.index("# setup") :]


def test_options_of_the_user_win_over_those_of_headway() -> None:
    lines = script(Wishes(sbatch={"open-mode": "truncate", "hold": ""}), Resources())
    assert "#SBATCH --open-mode=truncate" in lines
    assert "#SBATCH --hold" in lines


def test_a_trial_of_a_head_in_a_job_hears_nothing_of_that_job(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"SLURM_JOB_ID": "5", "SLURM_NTASKS_PER_NODE": "9", "SLURM_CPU_BIND": "none"}
    for name, text in told.items():
        monkeypatch.setenv(name, text)
    site.command("sbatch", 'env | grep "^SLURM_"')
    answer = cluster(Wishes()).submit(new_order(tmp_path))
    assert answer.message.split() == [f"SLURM_CONF={tmp_path / 'slurm.conf'}"]
    assert not of_another_job("SLURM_CLUSTERS")


def test_the_environment_of_a_person_is_left_as_it_is(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("SLURM_CPU_BIND", "none")
    site.command("sbatch", 'echo "bind:$SLURM_CPU_BIND"')
    assert cluster(Wishes()).submit(new_order(tmp_path)).message == "bind:none"


@pytest.mark.parametrize(
    ("lines", "code", "says"),
    [
        (("x=1", 'test "$x" = 1'), 5, ""),
        (("echo one", "(exit 3)", "echo two"), 3, "exit code 3: (exit 3)"),
        (("(exit 3) || true",), 5, ""),
        (("if true\nthen false\nfi",), 1, "exit code 1: if true"),
    ],
)
def test_a_trial_whose_setup_fails_does_not_begin(
    tmp_path: Path, lines: tuple[str, ...], code: int, says: str
) -> None:
    entry = tmp_path / "entry.py"
    entry.write_text("import os; print('WORKER', flush=True); os._exit(5)")
    local = LocalCluster(entry=entry, site=Wishes(setup=lines))
    order = new_order(tmp_path / "run")
    (job_id,) = local.submit(order).job_ids
    child = local._children[job_id]
    assert child.wait(30) == code
    log = (order.run_dir / order.log_pattern.format(index=0)).read_text()
    assert says in log
    assert ("WORKER" in log) == (code == 5)


def test_without_a_setup_nothing_comes_before_the_worker() -> None:
    assert setup_lines(Wishes()) == []
    assert "# setup" not in script(Wishes(), Resources())


def test_the_next_job_of_a_head_asks_for_what_this_one_has_got() -> None:
    assert read_options(SHOWN) == {
        "job-name": "my head",
        "account": "acc",
        "qos": "normal",
        "time": "00:30:00",
        "partition": "alpha",
        "cpus-per-task": "2",
        "mem": "700M",
        "output": "/home/me/a b%%.out",
    }


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("Welcome to big.\nYour job 48 hours\n77;big", 0, (AnswerKind.ACCEPTED, "77")),
        ("Welcome to big.", 0, (AnswerKind.UNCLEAR, None)),
        ("77\nthe wrapper broke", 3, (AnswerKind.UNCLEAR, None)),
        ("sbatch: error: Invalid account", 1, (AnswerKind.REFUSED, None)),
        ("sbatch: error: Socket timed out on send/recv operation", 1, (AnswerKind.UNCLEAR, None)),
        ("", 124, (AnswerKind.UNCLEAR, None)),
    ],
)
def test_the_job_of_a_head_is_accepted_refused_or_unclear(
    site: Site, tmp_path: Path, text: str, code: int, expected: tuple[AnswerKind, str | None]
) -> None:
    site.prints("sbatch", text or "nothing", code=code)
    said = submit_script(tmp_path / "head.sbatch", cluster=None, limit_seconds=5)
    assert (said.kind, said.job_id) == expected
    assert said.permanent == (said.kind is AnswerKind.REFUSED)


@pytest.mark.parametrize("option", get_args(GpuOption))
def test_a_real_slurm_takes_each_way_of_asking_for_gpus(
    slurm_cluster: PrivateSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: GpuOption
) -> None:
    for name, text in slurm_cluster.environment().items():
        monkeypatch.setenv(name, text)
    path = tmp_path / "trial.sbatch"
    wishes = Wishes(gpu_option=option, omit=("wckey",))
    path.write_text("\n".join([*script(wishes, Resources(gpus=2, nodes=2)), ""]))
    said = submit_script(path, cluster=None, limit_seconds=30, is_trial=True)
    assert (said.kind, said.job_id) == (AnswerKind.ACCEPTED, None), said.message
