"""Scenario 1: few calls of Slurm's commands, however many trials there are, and none by others."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import Any

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, wait_until
from tests.scenarios.evidence import SEEN, Evidence
from tests.scenarios.wrappers import Wrappers

SLURM = ("sbatch", "squeue", "sacct", "scontrol", "scancel", "sinfo", "sacctmgr", "srun", "sstat")
SLOW = pytest.mark.slow
SEARCH = (
    *("run", "--partition", "alpha", "--mem_gb", "0.05", "--model", "SOBOL", "--seed", "3"),
    *("--parameter", "x", "range", "0", "1"),
)
LOOKS = (("follow", "--once"), ("trials",), ("why", "--json"))
# A site's own bucket, in sh: a file with what is left and when that was so.
BUCKET = (
    "exec 9>>{folder}/lock; flock 9",
    'state="$(cat {folder}/state 2>/dev/null || echo {burst} $(date +%s.%N))"',
    'left=$(echo "$state $(date +%s.%N)" | awk -v burst={burst} -v rate={rate} -f {folder}/refill)',
    "may=$(echo \"$left\" | awk '{{print ($1 >= 1)}}')",
    "echo \"$left $may $(date +%s.%N)\" | awk '{{print $1 - $2, $3}}' > {folder}/state",
    "flock -u 9; exec 9>&-",
    '[ "$may" = 1 ] || {{ echo refused >> {folder}/refused; echo "too many requests" >&2; exit 1; }}',
    'exec "$REAL" "$@"',
)


def asked_of_controller(cluster: PrivateSlurm) -> Counter[str]:
    """Return what the controller was asked since `sdiag --reset`, by sdiag's word."""
    told = cluster.run("sdiag").stdout
    return Counter(
        {
            word: int(count)
            for word, count in re.findall(r"(REQUEST_\w+) +\( *\d+\) count:(\d+)", told)
        }
    )


def look(place: Place, cluster: PrivateSlurm) -> dict[str, Any]:
    """Look at a search that runs, from a login node of one's own; return its status."""
    (place.folder / "viewers").mkdir()
    wrappers = Wrappers(place.folder / "viewers" / "bin")
    for command in SLURM:
        wrappers.count(command)
    with Place(place.folder / "viewers", cluster.environment() | wrappers.environment()) as viewer:
        at = ("--run_dir", str(place.folder / "runs"))
        for words in LOOKS:
            viewer.run(*words, *at)
        told: dict[str, Any] = viewer.json("status", *at)
    assert wrappers.calls() == Counter(), "viewers ask the database alone"
    return told


@pytest.mark.parametrize(("trials", "slots"), [(60, 24), pytest.param(500, 200, marks=SLOW)])
def test_looks_at_the_queue_are_few_and_viewers_and_workers_make_none(
    login_node: Place,
    slurm_cluster: PrivateSlurm,
    wrappers: Wrappers,
    trials: int,
    slots: int,
) -> None:
    for command in SLURM:
        wrappers.count(command)
    slurm_cluster.run("sdiag", "--reset")
    began = time.monotonic()
    head = login_node.start(
        *(*SEARCH, "--experiment_name", "calls", "--max_eval", str(trials)),
        *("--num_parallel_jobs", str(slots)),
        *("--run_program", f"{SEEN}; sleep 2; echo RESULT: %(x)"),
    )
    found = Evidence(login_node, "calls")
    wait_until((login_node.folder / "seen").exists)
    ours = look(login_node, slurm_cluster)
    code, output = head.wait(300)
    passed = time.monotonic() - began
    assert code == 0, output
    found.assert_each_once(trials)
    calls = wrappers.calls()
    assert calls["squeue"] <= passed / 2 + 3, f"in {passed} s"
    assert calls["sbatch"] + calls["squeue"] <= 40 + 20 * passed / 60
    assert calls["srun"] == calls["sstat"] == 0
    controller = asked_of_controller(slurm_cluster)
    looks = sum(n for word, n in controller.items() if re.search(r"JOB_(USER_)?INFO$", word))
    assert looks == calls["squeue"]
    assert controller["REQUEST_SUBMIT_BATCH_JOB"] == calls["sbatch"]
    assert 0 < ours["slurm"]["calls_last_hour"] <= calls.total()


REFILL = "{t = $1 + ($3 - $2) * rate; if (t > burst) t = burst; print t}\n"


@pytest.mark.parametrize(
    ("trials", "bucket", "timing"),
    [
        (60, (7, 0.4), ("calls_per_minute=200", "calls_burst=20", "poll_min_seconds=0.2")),
        pytest.param(300, (40, 4 / 60), ("calls_burst=40",), marks=SLOW),
    ],
)
def test_a_site_that_refuses_calls_beyond_a_bucket_of_its_own_stops_no_search(
    login_node: Place,
    wrappers: Wrappers,
    trials: int,
    bucket: tuple[int, float],
    timing: tuple[str, ...],
) -> None:
    folder = login_node.folder
    (folder / "refill").write_text(REFILL)
    lines = [line.format(folder=folder, burst=bucket[0], rate=bucket[1]) for line in BUCKET]
    for command in SLURM:
        wrappers.put(command, *lines)
    output = login_node.run(
        *(*SEARCH, "--experiment_name", "bucket", "--max_eval", str(trials)),
        *("--num_parallel_jobs", "20", "--timing", *timing),
        *("--run_program", f"{SEEN}; sleep 0.5; echo RESULT: %(x)"),
        seconds=3000,
    )
    Evidence(login_node, "bucket").assert_each_once(trials)
    assert not re.search(r"^(error|headway):", output, re.MULTILINE), output
    refused = len((folder / "refused").read_text().split()) if (folder / "refused").exists() else 0
    assert 0 < refused < wrappers.calls().total() / 2, "calls became rarer"
