"""What `--dryrun` says of failures and hosts; nothing is started."""

from __future__ import annotations

import os
from pathlib import Path

from tests.main_job.runs import Place

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


def test_a_dry_run_without_them_does_not_name_them(tmp_path: Path) -> None:
    text = Place(tmp_path).run(*BASE)
    assert "Rules:" not in text
    assert "Preflight:" not in text


def test_a_dry_run_on_slurm_says_for_how_long_hosts_are_kept_out(tmp_path: Path) -> None:
    for name in ("sbatch", "sinfo"):
        (tmp_path / name).write_text("#!/bin/sh\necho batch\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "slurm.conf").touch()
    path = f"{tmp_path}:{os.environ['PATH']}"
    place = Place(tmp_path, {"PATH": path, "SLURM_CONF": str(tmp_path / "slurm.conf")})
    text = place.run(*SLURM)
    assert "Hosts:      defective ones are kept out for 6:00:00\n" in text
    assert "Stops if:   trial after trial fails on more hosts than can be defective\n" in text
    text = place.run(*SLURM, "--no-auto-exclude")
    assert "Hosts:      none is kept out but by hand\n" in text
    assert "Stops if:   never, however many trials fail\n" in text
