"""What `--dryrun` says: the plan, the first points, scripts, costs; nothing is started."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from db.sql.reach import reach
from orchestrator.cli import plans
from orchestrator.cli.costs import Cost, cost_of
from orchestrator.cluster.base import Limits
from tests.cluster.postgres import PrivatePostgres
from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import ROOT, Place
from tests.scenarios.wrappers import Wrappers
from tests.steps.specs import make_spec

SLURM = (
    *("run", "--experiment_name", "t", "--max_eval", "4", "--parameter", "x", "range", "0", "1"),
    *("--run_program", "./p %(x)", "--dryrun"),
)
BASE = (*SLURM, "--force_local_execution")
RULES = """\
errors:
  - name: licence
    match_regex: "licen[cs]e"
    exit_codes: [7, 9]
    behavior: RestartOnDifferentNode
"""


def test_a_dry_run_shows_rules_preflight_and_when_the_search_stops(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    limits = ("--max_failed_jobs", "3", "--max_failure_rate", "0.5")
    more = ("--orchestrator_file", "rules.yaml", "--preflight", "test -d /data")
    lines = Place(tmp_path).run(*BASE, *limits, *more).splitlines()
    rule = "licence: /licen[cs]e/, and exit code 7 or 9: the trial is tried again on another host"
    assert f"Rules:      {rule}, up to 3 times" in lines
    assert "Preflight:  test -d /data" in lines
    stops = "more than 3 trials have failed, or more than 50 % of those that ended have failed"
    assert f"Stops if:   {stops}" in lines
    assert "Hosts:      this machine alone" in lines
    assert [path.name for path in tmp_path.iterdir()] == ["rules.yaml"]


def test_a_dry_run_on_slurm_says_for_how_long_hosts_are_kept_out() -> None:
    spec = make_spec(executor="slurm")
    assert plans._hosts(spec) == "defective ones are kept out for 6:00:00"
    assert plans._stops(spec) == "trial after trial fails on more hosts than can be defective"
    spec = make_spec(executor="slurm", auto_exclude=False)
    assert plans._hosts(spec) == "none is kept out but by hand"
    assert plans._stops(spec) == "never, however many trials fail"


def test_a_dry_run_makes_the_very_points_that_the_run_will_take(tmp_path: Path) -> None:
    more = ("--num_parallel_jobs", "3", "--num_random_steps", "3")
    choice = ("--parameter", "k", "choice", "a,b,c")
    place = Place(tmp_path)
    plan = place.json(*BASE, *more, *choice)
    words = [word for word in BASE if word not in {"--dryrun", "--run_program", "./p %(x)"}]
    seed, program = ("--seed", str(plan["seed"])), ("--run_program", "echo RESULT: %(x)")
    place.run(*words, *more, *choice, *seed, *program)
    taken = [(float(row["x"]), row["k"]) for row in place.results("t")]

    assert (plan["is_seed_drawn"], plan["points_by"]) == (True, "SOBOL")
    assert [(point["x"], point["k"]) for point in plan["points"]] == taken[:3]


def test_a_dry_run_says_every_notice_and_shows_the_first_command(tmp_path: Path) -> None:
    more = ("--mem_gb", "4", "--parameter", "k", "choice", "a b,c")
    text = Place(tmp_path).run(*BASE, *more)

    assert "note: --mem_gb: no effect, since the trials run on this machine" in text
    assert "note: --parameter k: the program's text does not use it" in text
    assert "\nThe first trial runs:\n\n./p 0." in text
    assert "no limit: a trial may take as long as it likes; --worker_timeout limits it" in text
    assert not re.search("^(Rules|Preflight|Setup|Snapshot):", text, re.MULTILINE)


def test_json_belongs_to_a_dry_run(tmp_path: Path) -> None:
    words = [word for word in BASE if word != "--dryrun"]

    assert Place(tmp_path).start(*words, "--json").wait() == (
        2,
        "headway: --json: only means something with --dryrun\n",
    )


def test_constraints_that_leave_no_point_are_found_by_a_dry_run(tmp_path: Path) -> None:
    never = ("--parameter", "y", "range", "0", "1", "--experiment_constraints", "x*x + y*y < -1")
    code, said = Place(tmp_path).start(*BASE, *never).wait()

    assert code == 1
    assert said.startswith("headway: ")
    assert said.count("\n") == 1


def test_a_dry_run_leaves_no_trace_in_slurm_in_a_database_and_on_disk(
    tmp_path: Path, slurm_cluster: PrivateSlurm, postgres_server: PrivatePostgres
) -> None:
    wrappers = Wrappers(tmp_path / "wrappers")
    for name in ("sbatch", "scancel", "sinfo"):
        wrappers.count(name)
    (tmp_path / "work").mkdir()
    url = postgres_server.clone("template0")
    place = Place(tmp_path / "work", {**slurm_cluster.environment(), **wrappers.environment()})
    more = (
        "--worker_timeout",
        "28",
        "--cpus_per_task",
        "2",
        "--head",
        "slurm",
        "--setup",
        "umask 7",
    )
    plan = place.json(*SLURM, *more, "--db_url", url)
    try:
        assert reach(url).is_empty
    finally:
        postgres_server.drop(url)
    assert wrappers.calls().keys() == {"sinfo"}
    assert list(place.folder.iterdir()) == []
    assert f"{place.folder}/runs/t/N" in plan["submission"]["script"]
    assert "#SBATCH --time=30" in plan["submission"]["script"]
    assert f"run_dir={place.folder}/runs/t/N" in plan["head_script"]
    assert plan["cost"]["each_once"] == {"cpu_hours": 4.0, "gpu_hours": 0.0}


def test_a_dry_run_finds_that_the_database_does_not_answer(tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    code, said = Place(tmp_path).start(*BASE, "--db_url", url).wait()

    assert code == 2
    assert said.startswith("headway: --db_url: the database does not answer")


def cost(limits: Limits | None = None, **spec: Any) -> Cost:
    return cost_of(make_spec(executor="slurm", **spec), limits)


def test_the_cost_is_counted_from_limits_and_tries() -> None:
    wanted = {"cpus": 4, "gpus": 2, "nodes": 3, "minutes": 30, "memory_mb": 1024}
    found = cost(max_eval=10, retries=1, resources=wanted, time_limit_seconds=3600)

    assert (found.cpus, found.gpus, found.trial_minutes) == (12, 6, 30)
    assert found.once == 10 * 0.5
    # One try to its limit, then four of twice the time: one each after a failure of the program and
    # the limit, two after a lack of memory.
    assert found.retried == 10 * (0.5 + 4 * 1)
    assert found.within == 2 * (1 + 1)
    assert found.most == 4
    assert found.record()["at_most"] == {"cpu_hours": 48.0, "gpu_hours": 24.0}


def test_the_cost_follows_the_limits_of_the_partition() -> None:
    gives = Limits(minutes=90, default_minutes=60)
    default = cost(gives, max_eval=6, retries=0)
    asked = {"minutes": 80, "gres": "gpu:a100:2,disk:1"}
    most = cost(gives, max_eval=6, retries=0, resources=asked)

    assert (default.once, default.retried) == (6 * 1.0, 6 * (1 + 1.5))
    assert (most.once, most.gpus) == (8, 2)
    assert cost(Limits()).most is None


def test_a_model_that_begins_makes_the_first_points_and_json_is_as_documented(
    tmp_path: Path,
) -> None:
    plan = Place(tmp_path).json(*BASE, "--model", "TPE", "--num_random_steps", "0")
    page = (ROOT / "docs" / "configuration.md").read_text()
    rows = [row.split("|")[1:3] for row in page.partition("With `--json`:")[2].splitlines()[4:]]
    words = {fields: re.findall(r"`(\w+)`", said) for fields, said in rows}

    assert plan["points_by"] == "TPE"
    assert len(plan["points"]) == plan["submission"]["trials"]
    assert plan["first_command"] == f"./p {plan['points'][0]['x']}"
    assert {name for fields in words for name in re.findall(r"`(\w+)`", fields)} == set(plan)
    assert set(words[" `cost` "]) == {*plan["cost"], "cpu_hours", "gpu_hours"}
    assert set(words[" `submission` "]) == set(plan["submission"])
