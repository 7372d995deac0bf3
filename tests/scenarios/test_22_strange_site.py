"""A site with rules of its own: a profile of ten lines makes it work (scenario 22).

Account and constraint are mandatory, --mem and --wckey are refused, banners stand around every answer
and one speaks of a "job 48 hours", jobs start with an empty environment, there are two partitions,
and commands have to name the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, lines_of, wait_until
from tests.scenarios.evidence import Evidence, jobs_left
from tests.scenarios.wrappers import Wrappers

PROFILE = """\
account: p_example
constraint: scratch
partition: alpha,beta
cluster: headway
omit: [mem, wckey]
gpu_option: gres
setup:
  - export PATH="$PATH:{folder}/site"
sbatch: {{comment: for the site, nice: 5}}
head_sbatch: {{time: "2:00:00"}}
"""
# What a job_submit plug-in or a wrapper of a site does to sbatch.
RULES = (
    'for word; do [ ! -f "$word" ] || file=$word; done',
    'case " $* " in *" --clusters=headway "*) ;; *) file=/dev/null;; esac',
    'refuse() { echo "sbatch: error: $1" >&2; exit 1; }',
    'grep -q "^#SBATCH --account=p_example$" "$file" || refuse "Invalid account specified"',
    'grep -q "^#SBATCH --constraint=scratch$" "$file" || refuse "a constraint is mandatory here"',
    '! grep -Eq "^#SBATCH --(mem|wckey)" "$file" || refuse "--mem and --wckey are not allowed"',
    'echo "*** Welcome. Each job 48 hours at most. ***"',
    '"$REAL" "$@"; code=$?',
    'echo "Your project has used 17 of 100 h."; exit $code',
)
BANNER = ('echo "*** Maintenance on Monday, job 48 hours at most ***"', 'exec "$REAL" "$@"')
# `answer` is found on PATH only after the setup.
PROGRAM = 'answer "$HEADWAY_TRIAL ${OF_THE_LOGIN_NODE:-none}" %(x)'
SEARCH = (
    *("--experiment_name", "odd", "--max_eval", "6", "--num_parallel_jobs", "3", "--mem_gb", "0.2"),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL", "--profile", "odd"),
    *("--timing", "poll_max_seconds=3", "--timing", "calls_burst=1000", "--run_program", PROGRAM),
)


@pytest.fixture
def strange(login_node: Place, slurm_cluster: PrivateSlurm, wrappers: Wrappers) -> Iterator[Place]:
    """A login node of the strange site, with the profile among the user's own."""
    profiles = login_node.folder / "config" / "headway" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "odd.yaml").write_text(PROFILE.format(folder=login_node.folder))
    (login_node.folder / "site").mkdir()
    seen, go = login_node.folder / "seen", login_node.folder / "go"
    wait = f'case "$1" in 0*|1*) ;; *) until [ -e {go} ]; do sleep 0.1; done; esac'
    login_node.script("site/answer", [f'echo "$1" >> {seen}', wait, 'echo "RESULT: $2"'])
    wrappers.put("sbatch", *RULES)
    for command in ("squeue", "sinfo", "sacct"):
        wrappers.put(command, *BANNER)
    login_node.environment = {
        **login_node.environment,
        "XDG_CONFIG_HOME": str(login_node.folder / "config"),
        "SBATCH_EXPORT": "NONE",
        "OF_THE_LOGIN_NODE": "here",
    }
    _give_features(slurm_cluster, "scratch")
    yield login_node
    slurm_cluster.run("scancel", "--me", check=False)
    _give_features(slurm_cluster, "")


def _give_features(cluster: PrivateSlurm, features: str) -> None:
    names = ",".join(cluster.settings.node_names)
    words = (f"AvailableFeatures={features}", f"ActiveFeatures={features}")
    cluster.run("scontrol", "update", f"NodeName={names}", *words)


def _submitted(run_dir: Path) -> list[str]:
    """The lines for sbatch in all scripts of trials."""
    scripts = [path.read_text() for path in (run_dir / "submissions").glob("*.sh")]
    return [line for text in scripts for line in text.splitlines() if line.startswith("#SBATCH")]


def assert_all_is_well(place: Place, cluster: PrivateSlurm) -> Evidence:
    """Six trials, each once and as the site wants it, and nothing is left in the queue."""
    evidence = Evidence(place, "odd")
    evidence.assert_each_once(6)
    assert jobs_left(cluster, "odd") == []
    lines = _submitted(place.folder / "runs" / "odd" / "1")
    assert "#SBATCH --partition=alpha,beta" in lines
    assert "#SBATCH --comment='for the site'" in lines
    assert not [line for line in lines if "--mem" in line or "wckey" in line]
    assert {row[2] for row in evidence.attempts()} == {"SUCCEEDED"}
    return evidence


@pytest.mark.slurm
def test_without_a_profile_the_site_refuses_and_says_why(strange: Place) -> None:
    words = [word for word in SEARCH if word not in {"--profile", "odd"}]
    code, output = strange.start("run", "--experiment_name", "odd", *words[1:]).wait()
    assert code != 0
    assert "Invalid account" in output


@pytest.mark.slurm
def test_a_profile_of_ten_lines_makes_a_strange_site_work(
    strange: Place, slurm_cluster: PrivateSlurm
) -> None:
    assert len(PROFILE.splitlines()) == 10
    checked = strange.run("profile", "check", "odd", "--submit")
    assert checked.count("Slurm would take it") == 2
    (strange.folder / "go").touch()
    output = strange.run("run", *SEARCH)
    assert "--mem_gb: not sent, since the profile odd leaves --mem of sbatch out" in output
    assert "warning" not in output, "no banner was taken for an answer"
    assert_all_is_well(strange, slurm_cluster)
    seen = lines_of(strange.folder / "seen")
    assert {line.split()[1] for line in seen} == {"none"}, "the environment was empty"


@pytest.mark.slurm
def test_so_does_a_head_within_another_job_that_goes_on_in_a_second_one(
    strange: Place, slurm_cluster: PrivateSlurm
) -> None:
    strange.run("run", *SEARCH, "--head", "slurm")
    (first,) = _heads(slurm_cluster)
    run_dir = strange.folder / "runs" / "odd" / "1"
    wait_until(lambda: len(lines_of(strange.folder / "seen")) >= 3)
    slurm_cluster.run("scancel", "--batch", "--signal=USR1", first)
    wait_until(lambda: first not in _heads(slurm_cluster))
    (strange.folder / "go").touch()
    wait_until(lambda: not _heads(slurm_cluster))
    assert_all_is_well(strange, slurm_cluster)
    assert (run_dir / "head.out").read_text().count(": going on") == 2
    head = (run_dir / "head.sbatch").read_text()
    assert "#SBATCH --account=p_example\n" in head
    assert "#SBATCH --time=2:00:00\n" in head


def _heads(cluster: PrivateSlurm) -> list[str]:
    """The jobs of heads that wait or run."""
    lines = cluster.run("squeue", "--noheader", "--format=%i %j").stdout.splitlines()
    return [line.split()[0] for line in lines if line.split()[1] == "headway-odd"]
