"""Rules of the user's own on the private Slurm: each of the four behaviours, in one search."""

from __future__ import annotations

import pytest

from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place
from tests.scenarios.evidence import Evidence, jobs_left

pytestmark = pytest.mark.slurm
RULES = """errors:
  - {name: licence, match_strings: [no licence left], behavior: Restart}
  - {name: scratch, match_strings: [scratch is slow], behavior: RestartOnDifferentNode}
  - {name: board, match_strings: [board is dead], behavior: ExcludeNode}
  - {name: poison, match_strings: [node is poisoned], behavior: ExcludeNodeAndRestartAll}
"""
# Trials from 3 on wait until two of them are on one host; one of these two finds it poisoned.
PROGRAM = """
mkdir -p "on/$SLURMD_NODENAME"
mkdir "came-$HEADWAY_TRIAL" || { echo RESULT: %(x); exit; }
case "$HEADWAY_TRIAL" in
  0) echo no licence left; exit 1 ;;
  1) echo scratch is slow; exit 1 ;;
  2) echo board is dead; exit 1 ;;
esac
touch "on/$SLURMD_NODENAME/$HEADWAY_TRIAL"
while [ ! -d chosen ]; do
  sleep 0.2
  if [ $(ls "on/$SLURMD_NODENAME" | wc -l) -ge 2 ] && mkdir choosing; then
    echo "$SLURMD_NODENAME" > where; mkdir chosen; echo node is poisoned; exit 1
  fi
done
[ "$(cat where)" != "$SLURMD_NODENAME" ] || sleep 120
echo RESULT: %(x)
"""
ATTEMPTS = (
    'SELECT trial."index", attempt.failure_class, attempt.failure_name, attempt.host '
    "FROM attempt JOIN trial ON trial.id = attempt.trial_id "
    "WHERE coalesce(attempt.failure_class, '') != 'SUBMIT' ORDER BY trial.id, attempt.number"
)


@pytest.mark.timeout(180)
def test_rules_do_what_they_say(login_node: Place, slurm_cluster: PrivateSlurm) -> None:
    (login_node.folder / "rules.yaml").write_text(RULES)
    login_node.run(
        *("run", "--experiment_name", "rules", "--partition", "alpha", "--mem_gb", "0.1"),
        *("--max_eval", "9", "--num_parallel_jobs", "9", "--seed", "1", "--retries", "0"),
        *("--parameter", "x", "range", "0", "1", "--model", "SOBOL"),
        *("--timing", "poll_max_seconds=2", "calls_burst=400"),
        *("--orchestrator_file", "rules.yaml", "--run_program", PROGRAM),
    )
    evidence = Evidence(login_node, "rules")
    found: dict[int, list[tuple[str | None, str | None, str]]] = {}
    for index, failure, name, host in evidence.rows(ATTEMPTS):
        found.setdefault(index, []).append((failure, name, host))
    assert [row[:2] for row in found[0]] == [("RULE", "licence"), (None, None)]
    assert [row[:2] for row in found[1]] == [("RULE", "scratch"), (None, None)]
    assert found[1][0][2] != found[1][1][2], "on another host"
    assert [row[:2] for row in found[2]] == [("RULE", "board")]
    poisoned = (login_node.folder / "where").read_text().strip()
    ended = [row for index in range(3, 9) for row in found[index] if row[0] is not None]
    assert ended.count(("RULE", "poison", poisoned)) == 1
    assert {row for row in ended if row[0] != "RULE"} == {("PREEMPTED", None, poisoned)}
    assert all(found[index][-1][0] is None for index in range(3, 9))
    excluded = {host for (host,) in evidence.rows("SELECT name FROM host WHERE state = 'SUSPECT'")}
    assert excluded == {poisoned, found[2][0][2]}
    assert evidence.statuses() == {"COMPLETED": 8, "FAILED": 1}
    assert jobs_left(slurm_cluster, "rules") == []
