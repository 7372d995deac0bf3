"""Commands that fail, hang or babble: fakes first on PATH."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from db.states import JobState
from orchestrator.cluster.base import AnswerKind
from orchestrator.cluster.commands import GATHER_SECONDS, CallBudget
from orchestrator.cluster.slurm import SlurmCluster, check_partition, is_here
from orchestrator.errors import ClusterError, UsageError
from orchestrator.spec.experiment import Timing
from tests.scheduler.orders import ENTRY, find, new_order, statuses
from tests.scheduler.test_parsing import answer

JOBS = {"525": "hw-rec-one", "527_1": "hw-rec-three", "999": "hw-rec-none"}


class Site:
    """A folder first on PATH with the commands of a site, and what they were called with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "bin"
        self.calls_file = folder / "calls"
        self.folder.mkdir()
        self.command("srun", "exit 0")

    def command(self, name: str, body: str) -> None:
        """Put a shell script in place of a command."""
        path = self.folder / name
        note = f'echo {name} "$@" >> {shlex.quote(str(self.calls_file))}'
        path.write_text(f"#!/bin/sh\n{note}\n{body}\n")
        path.chmod(0o755)

    def prints(self, name: str, text: str, *, code: int = 0) -> None:
        """Let a command print a text and end."""
        self.command(name, f"cat <<'END'\n{text.rstrip()}\nEND\nexit {code}")

    def fails(self, name: str, text: str = "", *, code: int = 1) -> None:
        """Let a command complain and end."""
        self.command(name, f"cat >&2 <<'END'\n{text.rstrip()}\nEND\nexit {code}")

    def calls(self) -> list[str]:
        """What was called, in order."""
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site without accounting, whose queue is the recorded one."""
    site = Site(tmp_path)
    monkeypatch.setenv("PATH", f"{site.folder}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    site.prints("squeue", answer("squeue.txt"))
    site.prints("sacct", answer("sacct.txt"))
    # A Slurm that is installed on this machine would look for its configuration for a minute.
    site.fails("sinfo", "sinfo: error: s_p_parse_file: cannot stat file")
    return site


def cluster(limit_seconds: float = 5) -> SlurmCluster:
    timing = Timing(slurm_limit_seconds=limit_seconds, sacct_limit_seconds=limit_seconds)
    return SlurmCluster(entry=ENTRY, timing=timing, user="me")


# sbatch


@pytest.mark.parametrize(
    ("text", "permanent"),
    [
        ("sbatch: error: Batch job submission failed: Invalid qos specification", True),
        ("sbatch: error: invalid partition specified: nowhere", True),
        (
            "sbatch: error: Batch job submission failed: Requested node configuration is not available",
            True,
        ),
        ("sbatch: error: QOSMaxSubmitJobPerUserLimit", False),
        ("sbatch: error: Unable to contact slurm controller (connect failure)", False),
    ],
)
def test_a_refusal_says_whether_it_can_pass(
    site: Site, tmp_path: Path, text: str, permanent: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    site.fails("sbatch", text)
    found = cluster().submit(new_order(tmp_path / "run"))
    assert (found.kind, found.permanent) == (AnswerKind.REFUSED, permanent)
    assert text in found.message
    assert capfd.readouterr() == ("", ""), "nothing is printed over the live view"


@pytest.mark.parametrize(
    "body",
    [
        "sleep 60",
        "trap '' TERM; sleep 60 & wait; sleep 60",
        "echo 'sbatch: error: Batch job submission failed: Socket timed out on send/recv operation' >&2; exit 1",
        "exit 0",
        "echo 'Submitted, thank you'",
        "echo 123; echo 124",
        "echo 123; exit 1",
        "printf '\\377\\376 no text\\n'; exit 1",
        "kill -9 $$",
    ],
)
def test_an_answer_that_tells_no_end_is_unclear(site: Site, tmp_path: Path, body: str) -> None:
    site.command("sbatch", body)
    found = cluster(limit_seconds=0.3).submit(new_order(tmp_path / "run"))
    assert found.kind == AnswerKind.UNCLEAR
    assert found.job_ids == ()
    assert found.message


def test_an_id_between_the_lines_of_a_banner_is_found(site: Site, tmp_path: Path) -> None:
    site.prints("sbatch", answer("banners.txt"))
    found = cluster().submit(new_order(tmp_path / "run", size=2))
    assert found.job_ids == ("525_0", "525_1")


def test_an_id_with_a_cluster_is_found(site: Site, tmp_path: Path) -> None:
    site.prints("sbatch", "123;cluster")
    assert cluster().submit(new_order(tmp_path / "run")).job_ids == ("123",)


def test_a_job_whose_script_cannot_be_renamed_is_accepted_all_the_same(
    site: Site, tmp_path: Path
) -> None:
    site.command("sbatch", f"rm -f {shlex.quote(str(tmp_path))}/run/submissions/.sub*; echo 7")
    assert cluster().submit(new_order(tmp_path / "run")).kind == AnswerKind.ACCEPTED


def test_a_run_folder_that_cannot_be_written_is_a_refusal(site: Site, tmp_path: Path) -> None:
    site.prints("sbatch", "7")
    order = new_order(tmp_path / "run")
    (order.run_dir / "submissions").write_text("in the way")
    (order.run_dir / "logs").write_text("in the way")
    found = cluster().submit(order)
    assert found.kind == AnswerKind.REFUSED
    assert site.calls() == []


def test_submitting_calls_sbatch_once_and_nothing_else(site: Site, tmp_path: Path) -> None:
    site.prints("sbatch", "7")
    order = new_order(tmp_path / "run", size=3)
    assert cluster().submit(order).kind == AnswerKind.ACCEPTED
    (call,) = site.calls()
    assert call.startswith("sbatch --parsable ")
    (script,) = (order.run_dir / "submissions").iterdir()
    assert script.name == "7.sh"


# squeue and sacct


def states(site_cluster: SlurmCluster) -> dict[str, JobState]:
    return {key: status.state for key, status in statuses(site_cluster, JOBS).items()}


def test_a_job_that_both_commands_deny_is_gone(site: Site) -> None:
    assert states(cluster()) == {
        "525": JobState.COMPLETED,
        "527_1": JobState.CANCELLED,
        "999": JobState.GONE,
    }
    # The last one about the host of the job that was cancelled.
    assert [call.split()[0] for call in site.calls()] == ["squeue", "sacct", "sinfo"]
    assert "--jobs=527_1,999" in site.calls()[1], "the queue does not say who cancelled 527_1"


def test_the_accounting_is_not_asked_when_the_queue_knows_all(site: Site) -> None:
    found = statuses(cluster(), {"525": "hw-rec-one"})
    assert found["525"].state == JobState.COMPLETED
    assert [call.split()[0] for call in site.calls()] == ["squeue"]


@pytest.mark.parametrize("body", ["exit 1", "sleep 60", "echo '525|COMPLETED'; exit 1"])
def test_without_the_queue_everything_is_unknown(site: Site, body: str) -> None:
    site.command("squeue", body)
    asked = cluster(limit_seconds=0.3)
    assert set(states(asked).values()) == {JobState.UNKNOWN}
    assert find(asked, ["hw-rec-one"]) is None


@pytest.mark.parametrize("body", ["sleep 60", "echo 'slurmdbd: Connection refused' >&2; exit 1"])
def test_a_job_that_only_the_queue_denies_is_unknown(site: Site, body: str) -> None:
    site.command("sacct", body)
    asked = cluster(limit_seconds=0.3)
    assert states(asked) == {
        "525": JobState.COMPLETED,
        "527_1": JobState.CANCELLED,
        "999": JobState.UNKNOWN,
    }
    assert find(asked, ["hw-rec-one", "hw-none"]) == {"hw-rec-one": {0: "525"}}


@pytest.mark.parametrize("is_installed", [True, False])
def test_a_site_without_accounting_believes_its_queue(site: Site, is_installed: bool) -> None:
    if is_installed:
        site.fails("sacct", "Slurm accounting storage is disabled")
    else:
        (site.folder / "sacct").unlink()
        os.environ["PATH"] = _without_sacct(site)
    asked = cluster()
    assert states(asked)["999"] == JobState.GONE
    assert find(asked, ["hw-none"]) == {"hw-none": {}}
    assert len([call for call in site.calls() if call.startswith("sacct")]) <= 1


def _without_sacct(site: Site) -> str:
    """A PATH on which the shell is and this machine's own Slurm is not."""
    for name in ("sh", "cat", "timeout"):
        (site.folder / name).symlink_to(f"/bin/{name}")
    return str(site.folder)


def test_a_recycled_id_is_not_the_job_that_once_had_it(site: Site) -> None:
    found = statuses(cluster(), {"525": "hw-other", "526": "hw-rec-two"})
    assert found["525"].state == JobState.GONE
    assert found["526"].state == JobState.FAILED


def test_accounting_that_lags_behind_ends_nothing(site: Site) -> None:
    site.prints("squeue", "")
    found = statuses(cluster(), {"527_0": "hw-rec-three"})
    assert found["527_0"].state == JobState.GONE


def test_tasks_are_found_by_the_name_of_their_array(site: Site) -> None:
    found = find(cluster(), ["hw-rec-three", "hw-rec-one", "hw-none"])
    assert found == {
        "hw-rec-three": {0: "527_0", 1: "527_1", 2: "527_2"},
        "hw-rec-one": {0: "525"},
        "hw-none": {},
    }


def test_cancelling_is_one_call_for_all(site: Site) -> None:
    site.prints("scancel", "")
    cluster().cancel(["8", "7_1"])
    cluster().cancel(["8"], pending_only=True)
    cluster().cancel([])
    assert site.calls() == ["scancel --quiet 7_1 8", "scancel --quiet --state=PENDING 8"]


# The site


def test_a_partition_that_does_not_exist_is_refused_with_the_ones_that_do(site: Site) -> None:
    site.prints("sinfo", "alpha\nbeta\nalpha\n")
    known = cluster().partitions()
    assert known == ["alpha", "beta"]
    check_partition(None, known)
    check_partition("alpha,beta", known)
    with pytest.raises(UsageError, match=r"--partition.*'alhpa'.*alpha, beta.*mean alpha\?"):
        check_partition("alhpa", known)


def test_a_silent_controller_is_an_error_that_says_so(site: Site) -> None:
    site.fails("sinfo", "slurm_load_partitions: Unable to contact slurm controller")
    with pytest.raises(ClusterError, match="Slurm does not answer: slurm_load_partitions"):
        cluster().partitions()


def test_slurm_is_here_if_sbatch_is_and_a_controller_can_be_found(
    site: Site, tmp_path: Path
) -> None:
    os.environ["PATH"] = _without_sacct(site)
    assert not is_here()
    site.prints("sbatch", "7")
    site.fails("scontrol")
    assert not is_here()
    site.prints("scontrol", "Slurmctld(primary) at here is UP")
    assert is_here()
    site.fails("scontrol")
    (tmp_path / "slurm.conf").touch()
    assert is_here()


def test_calls_are_counted_and_get_slower_before_the_budget_is_spent() -> None:
    budget = CallBudget(per_minute=60, burst=8)
    assert budget.pause_seconds() == 0
    for _ in range(6):
        budget.spend("squeue")
    assert budget.pause_seconds() == GATHER_SECONDS
    pauses = []
    for _ in range(3):
        budget.spend("sbatch")
        pauses.append(budget.pause_seconds())
    assert pauses == sorted(pauses)
    assert 1.9 < pauses[-1] <= 2.0
    assert budget.counted == {"squeue": 6, "sbatch": 3}
