"""`headway doctor` on a real Slurm with faults planted: each is named, with what can be done."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.doctor.examined import BEFORE_PROBE, SCRIPT, SHIFTED, examine, left_behind
from tests.main_job.runs import Place, wait_until
from tests.scenarios.wrappers import Wrappers
from tests.worker.mounts import small

pytestmark = pytest.mark.slurm


def changed(wrappers: Wrappers, sed: str, *arguments: str) -> None:
    """Let sbatch submit another script than it is given."""
    wrappers.put(
        "sbatch", SCRIPT, f'sed -i {" ".join(arguments)} "{sed}" "$script"', 'exec "$REAL" "$@"'
    )


def jobs(cluster: PrivateSlurm) -> list[str]:
    return cluster.run("squeue", "--noheader", "--format=%j").stdout.split()


def test_a_healthy_cluster_passes_and_nothing_is_left_behind(
    login_node: Place, slurm_cluster: PrivateSlurm, wrappers: Wrappers, postgres_url: str
) -> None:
    keep = f'mkdir -p {wrappers.folder}/kept; cp "$script" {wrappers.folder}/kept'
    look = (
        f"stat -c '%a' {login_node.folder}/runs/.doctor-*/question.json >> {wrappers.folder}/modes"
    )
    wrappers.put("sbatch", SCRIPT, keep, look, 'exec "$REAL" "$@"')
    said = examine(login_node, "--nodes", "node[2-3]", "--db_url", postgres_url)
    assert (said.code, said.broken()) == (0, {})
    nodes = [each for each in said.findings if each["check"] == "node"]
    assert {each["host"] for each in nodes} == {"node2", "node3"}
    assert all("the database answers it in" in each["says"] for each in nodes)
    scripts = [path.read_text() for path in (wrappers.folder / "kept").iterdir()]
    assert len(scripts) == 2
    assert not any("secret" in script or "postgres" in script for script in scripts)
    assert (wrappers.folder / "modes").read_text().split() == ["600", "600"]
    assert said.only("limits")["says"] == "Slurm takes arrays of up to 1001 tasks"
    assert (left_behind(login_node), jobs(slurm_cluster)) == ([], [])


def test_a_node_that_does_not_see_the_run_folder_is_named(
    login_node: Place, wrappers: Wrappers
) -> None:
    (login_node.folder / "runs").mkdir()
    hide = wrappers.folder / "hide"
    hide.write_text(
        '[ "$SLURMD_NODENAME" != node2 ] || [ -n "$HIDDEN" ] || HIDDEN=1 exec unshare --mount '
        f"""sh -c 'mount -t tmpfs none {login_node.folder}/runs && exec bash "$0"' "$0"\n"""
    )
    changed(wrappers, "/^# command/r {hide}".replace("{hide}", str(hide)))
    said = examine(login_node, "--nodes", "node[1-3]")
    assert (said.code, said.broken()) == (1, {"shared folder": "FAILED"})
    found = said.only("shared folder")
    assert found["host"] == "node2"
    assert found["says"] == f"node2 does not see {login_node.folder}/runs"
    assert "--run_dir" in found["remedy"]


def test_a_database_that_nodes_cannot_reach_is_named_without_its_password(
    login_node: Place, wrappers: Wrappers, postgres_url: str
) -> None:
    changed(wrappers, BEFORE_PROBE.format("unshare --net"))
    said = examine(login_node, "--db_url", postgres_url)
    assert (said.code, said.broken()) == (1, {"database from nodes": "FAILED"})
    found = said.only("database from nodes")
    assert "cannot reach postgresql://headway:***@127.0.0.1" in found["says"]
    assert "this name means the node itself" in found["remedy"]
    assert "secret" not in str(said.findings)


@pytest.mark.parametrize(
    ("seconds", "status", "says"),
    [
        (600, "FAILED", "ahead of"),
        pytest.param(-90, "warning", "behind", marks=pytest.mark.slow),
    ],
)
def test_a_clock_that_is_off_is_named(
    login_node: Place, wrappers: Wrappers, seconds: int, status: str, says: str
) -> None:
    shifted = f"{sys.executable} {SHIFTED} {seconds}"
    changed(wrappers, f"s#^exec .* \\(.*/worker/probe.py\\)#exec {shifted} \\1#")
    said = examine(login_node)
    assert said.broken() == {"clock": status}
    assert says in said.only("clock")["says"]
    assert "chronyd" in said.only("clock")["remedy"]


@pytest.fixture
def beta_is_down(slurm_cluster: PrivateSlurm) -> Iterator[None]:
    slurm_cluster.run("scontrol", "update", "partitionname=beta", "state=down")
    yield
    slurm_cluster.run("scontrol", "update", "partitionname=beta", "state=up")


@pytest.mark.usefixtures("beta_is_down")
def test_a_partition_that_is_down_is_named_and_no_job_is_sent_there(
    login_node: Place, wrappers: Wrappers
) -> None:
    wrappers.count("sbatch")
    said = examine(login_node, "--partition", "beta")
    assert (said.code, said.broken()) == (1, {"partition": "FAILED", "probe": "warning"})
    assert "beta is DOWN" in said.only("partition")["says"]
    assert "alpha" in said.only("partition")["remedy"]
    assert wrappers.calls()["sbatch"] == 0


@pytest.mark.slow
def test_nodes_that_cannot_be_probed_are_named_before_a_job_is_sent(
    login_node: Place, wrappers: Wrappers
) -> None:
    wrappers.count("sbatch")
    said = examine(login_node, "--nodes", "node[1-9]")
    assert said.broken() == {"probe": "FAILED"}
    assert said.only("probe")["says"] == "Slurm has no node 'node9'"
    assert wrappers.calls()["sbatch"] == 0


def test_a_full_quota_is_named_and_no_job_is_sent(login_node: Place, wrappers: Wrappers) -> None:
    wrappers.count("sbatch")
    with small(login_node.folder / "runs", "512k"):
        said = examine(login_node)
    assert said.broken() == {"run folder": "FAILED", "probe": "warning"}
    assert "No space left on device" in said.only("run folder")["says"]
    assert "quota" in said.only("run folder")["remedy"]
    assert wrappers.calls()["sbatch"] == 0


def test_a_broken_accounting_is_named_and_ends_nothing(
    login_node: Place, wrappers: Wrappers
) -> None:
    wrappers.put("sacct", "echo 'sacct: error: Problem talking to the database' >&2; exit 1")
    said = examine(login_node, "--no_probe")
    assert (said.code, said.broken()) == (0, {"accounting": "warning"})
    assert "Problem talking to the database" in said.only("accounting")["says"]
    assert "Headway goes on without it" in said.only("accounting")["remedy"]


def test_a_site_without_accounting_is_fine(login_node: Place, wrappers: Wrappers) -> None:
    wrappers.put("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    said = examine(login_node)
    assert (said.code, said.broken()) == (0, {})
    assert "this site keeps none" in said.only("accounting")["says"]
    assert not [each for each in said.findings if each["check"] == "accounting delay"]


def test_a_dead_munge_is_named(tmp_path: Path, slurm_cluster: PrivateSlurm) -> None:
    own = tmp_path / "slurm.conf"
    text = (slurm_cluster.folder / "slurm.conf").read_text()
    own.write_text(text.replace("munge.socket", "nobody.munge.socket"))
    with Place(tmp_path, {"SLURM_CONF": str(own)}) as place:
        said = examine(place)
    assert (said.code, said.broken()) == (1, {"authentication": "FAILED"})
    assert "Did you start munged?" in said.only("authentication")["says"]
    assert "systemctl status munge" in said.only("authentication")["remedy"]


def test_sbatchs_refusal_is_told_with_its_own_words(login_node: Place) -> None:
    profile = login_node.folder / "bin" / "site.yaml"
    profile.write_text("constraint: nobody_has_this\n")
    said = examine(login_node, "--profile", str(profile))
    assert said.broken() == {"submission": "FAILED"}
    assert "Invalid feature specification" in said.only("submission")["says"]
    assert "--constraint" in said.only("submission")["remedy"]


def test_an_account_that_is_not_the_users_is_named_where_slurm_minds(
    login_node: Place, wrappers: Wrappers
) -> None:
    minds = "s/Enforce = none/Enforce = associations,limits,qos/"
    wrappers.put("scontrol", f'"$REAL" "$@" | sed "{minds}"')
    said = examine(login_node, "--account", "rooot")
    assert said.broken() == {"rights": "FAILED", "probe": "warning"}
    assert "may not use the account 'rooot' (yours: root)" in said.only("rights")["says"]
    assert said.only("rights")["remedy"] == "Did you mean root?"


def test_a_job_whose_sbatch_gave_no_clear_answer_is_found_and_ended(
    login_node: Place, slurm_cluster: PrivateSlurm, wrappers: Wrappers
) -> None:
    wrappers.put("sbatch", '"$REAL" --hold "$@" > /dev/null; echo welcome to job 48 hours')
    said = examine(login_node)
    assert said.broken() == {"submission": "FAILED"}
    assert "no clear answer: welcome to job 48 hours" in said.only("submission")["says"]
    assert [name for name in jobs(slurm_cluster) if name.startswith("hw-")] == []
    assert left_behind(login_node) == []


@pytest.mark.slow
def test_setup_lines_that_fail_on_a_node_are_found(login_node: Place) -> None:
    profile = login_node.folder / "bin" / "site.yaml"
    profile.write_text("setup:\n  - module_that_nobody_has load x\n")
    said = examine(login_node, "--profile", str(profile))
    assert said.broken() == {"probe": "FAILED"}
    assert "module_that_nobody_has: command not found" in said.only("probe")["says"]
    assert "--setup" in said.only("probe")["remedy"]


@pytest.fixture
def busy_node(slurm_cluster: PrivateSlurm) -> Iterator[None]:
    words = ("--nodelist=node8", "--exclusive", "--output=/dev/null", "--wrap=sleep 600")
    job = slurm_cluster.run("sbatch", "--parsable", *words).stdout.strip()
    wait_until(lambda: slurm_cluster.run("squeue", "-hj", job, "-o%T").stdout == "RUNNING\n")
    yield
    slurm_cluster.run("scancel", job)


@pytest.mark.usefixtures("busy_node")
def test_a_probe_that_waits_is_taken_back_and_slurms_reason_told(
    login_node: Place, slurm_cluster: PrivateSlurm
) -> None:
    said = examine(login_node, "--nodes", "node8", "--wait", "2")
    assert (said.code, said.broken()) == (0, {"probe": "warning"})
    assert "did not begin within 2 s" in said.only("probe")["says"]
    assert any(word in said.only("probe")["says"] for word in ("Resources", "Priority", "None"))
    assert [name for name in jobs(slurm_cluster) if name.startswith("hw-")] == []
    assert left_behind(login_node) == []


@pytest.mark.usefixtures("busy_node")
@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM]
)
def test_a_person_who_gives_up_leaves_nothing_behind(
    login_node: Place, slurm_cluster: PrivateSlurm, number: signal.Signals
) -> None:
    doctor = login_node.start("doctor", "--nodes", "node8", "--wait", "600")
    wait_until(lambda: any(name.startswith("hw-doctor-") for name in jobs(slurm_cluster)))
    doctor.process.send_signal(number)
    code, output = doctor.wait()
    assert code == 128 + number
    assert "Traceback" not in output
    assert [name for name in jobs(slurm_cluster) if name.startswith("hw-")] == []
    assert left_behind(login_node) == []


def test_a_command_that_is_missing_is_named(tmp_path: Path, slurm_cluster: PrivateSlurm) -> None:
    (tmp_path / "bin").mkdir()
    for command in ("sbatch", "squeue", "sinfo", "scontrol", "timeout", "sh"):
        where = next(p for d in os.environ["PATH"].split(":") if (p := Path(d) / command).exists())
        (tmp_path / "bin" / command).symlink_to(where)
    with Place(tmp_path, slurm_cluster.environment() | {"PATH": str(tmp_path / "bin")}) as place:
        said = examine(place)
    assert (said.code, said.broken()) == (1, {"commands": "FAILED"})
    assert said.only("commands")["says"] == "not on PATH: scancel"
