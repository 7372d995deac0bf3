"""Scenario 25: a node that does not fit is found before anything is claimed; all others agree."""

from __future__ import annotations

from pathlib import Path

from tests.main_job.runs import Place
from tests.scenarios.evidence import SEEN, Evidence
from worker.fitness import python_version

COMMAND = (
    *("run", "--experiment_name", "around", "--force_local_execution", "--num_parallel_jobs", "1"),
    *("--parameter", "x", "range", "0", "1", "float", "--model", "SOBOL", "--seed", "7"),
)
# What the workers after it find is that the head's Python was another one.
SPOIL = 'sed -i \'s/"python": "[^"]*"/"python": "2.7"/\' runs/around/1/job.json'


def test_a_node_that_does_not_fit_refuses_before_it_claims(laptop: Place) -> None:
    program = f"{SEEN}; [ $HEADWAY_TRIAL != 0 ] || {SPOIL}; echo RESULT: %(x)"
    laptop.run(*COMMAND, "--max_eval", "2", "--run_program", program)
    evidence = Evidence(laptop, "around")
    # A laptop has no other host to try.
    assert [row[3] for row in evidence.attempts()] == [None, "NODE", "NODE"]
    job = laptop.folder / "runs" / "around" / "1" / "job.json"
    right = job.read_text().replace('"python": "2.7"', f'"python": "{python_version()}"')
    job.write_text(right)
    laptop.run("resume", "around", "--max_eval", "3")
    assert evidence.starts() == {"0": 1, "2": 1}
    statuses = [row["status"] for row in laptop.results("around")]
    assert statuses == ["COMPLETED", "FAILED", "COMPLETED"]
    refused = evidence.rows(
        "SELECT state, failure_message, claim FROM attempt WHERE failure_class = 'NODE'"
    )
    assert {state for state, _, _ in refused} == {"FAILED"}
    assert all("2.7 where the head runs" in message for _, message, _ in refused)
    assert {claim for _, _, claim in refused} == {None}, "nothing was claimed"


SURROUNDINGS: list[dict[str, str]] = [
    {},
    {"TZ": "Pacific/Kiritimati", "LC_ALL": "C"},
    {"TZ": ":/nonsense", "LC_ALL": "xx_YY.ISO-8859-1"},
    {"USER": "", "LOGNAME": "", "HOME": ""},
]


def test_results_are_the_same_in_odd_surroundings(tmp_path: Path) -> None:
    places = [Place(tmp_path / str(n), environ) for n, environ in enumerate(SURROUNDINGS)]
    for place in places:
        place.folder.mkdir()
    words = ("--max_eval", "3", "--run_program", "echo 'grün €'; echo RESULT: %(x)")
    heads = [place.start(*COMMAND, *words) for place in places]
    try:
        assert [head.wait()[0] for head in heads] == [0] * len(heads)
    finally:
        for head in heads:
            head.kill()
    seen = []
    for place in places:
        Evidence(place, "around").assert_exactly(3)
        rows = place.results("around")
        seen.append([(row["trial_index"], row["x"], row["RESULT"]) for row in rows])
    assert seen == [seen[0]] * len(SURROUNDINGS)
