"""`headway resume` with other numbers than before."""

from __future__ import annotations

import json
from pathlib import Path

from tests.main_job.runs import Place

COMMAND = (
    *("run", "--experiment_name", "more", "--force_local_execution", "--num_parallel_jobs", "2"),
    *("--parameter", "x", "range", "0", "1", "--model", "SOBOL", "--max_eval", "2"),
    *("--run_program", "echo RESULT: %(x)"),
)


def test_a_resume_takes_other_numbers_and_writes_them_down(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.run(*COMMAND)
    code, said = place.start("resume", "--max_eval", "1").wait()
    place.run("resume", "more", "--max_eval", "3", "--num_parallel_jobs", "7")
    kept = json.loads((tmp_path / "runs" / "more" / "1" / "spec.json").read_text())
    ((stored,),) = place.rows("more", "SELECT spec FROM experiment")

    assert code == 2
    assert said == "headway: --max_eval: 1 is less than the 2 trials that have ended already\n"
    assert len(place.results("more")) == 3
    assert (kept["spec"]["max_eval"], kept["spec"]["num_parallel_jobs"]) == (3, 7)
    assert json.loads(stored)["num_parallel_jobs"] == 7
