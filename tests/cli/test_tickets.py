"""`headway why --ticket`: one block of text that a cluster's support can work with."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql import tables
from db.states import AttemptState, FailureClass, TrialStatus
from orchestrator.cli import looking
from orchestrator.cli.tickets import _without_password
from tests.reports.searches import Search

PASSWORD = "s3cret/word"
ASKED = {"partition": "alpha", "memory_mb": 2048, "cpus": 4, "nodes": 1, "exclude": []}


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert looking.run("why", [*words, "--ticket"]) == 0
    return capsys.readouterr().out


@pytest.fixture
def failed(search: Search, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trial 8 failed on node3; Slurm is here, and the environment holds a secret."""
    monkeypatch.setenv("API_TOKEN", "very-secret-token")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    key = search.trial(8, TrialStatus.FAILED)
    columns: dict[str, Any] = {
        "host": "node3",
        "slurm_job_id": "77_2",
        "requested": ASKED,
        "slurm_state": "FAILED",
        "failure_class": FailureClass.PROGRAM,
        "failure_name": "disk-full",
        "failure_action": "given up: its one further try was used up",
        "failure_evidence": {"blame": "PAIRED", "exit_code": 1, "patterns": 1},
        "reason": "a file system was full",
    }
    attempt = search.attempt(key, 2, AttemptState.FAILED, **columns)
    log = search.run_dir / "logs" / f"{key}-2.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text(f"postgresql://me:{PASSWORD}@db/x\nNo space left\x1b[2J\n")
    script = search.run_dir / "submissions" / "77.sh"
    script.parent.mkdir()
    script.write_text("#!/bin/bash\n")
    search.execute(
        sa.update(tables.table_of(tables.Attempt))
        .where(tables.table_of(tables.Attempt).c.id != attempt)
        .where(tables.table_of(tables.Attempt).c.trial_id == key)
        .values(requested=ASKED)
    )
    answers = {"sbatch": "slurm-wlm 22.05.8", "scontrol": "ClusterName             = big"}
    for name, text in answers.items():
        (here / name).write_text(f"#!/bin/sh\necho '{text}'\n")
        (here / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(here), prepend=os.pathsep)


@pytest.mark.usefixtures("failed")
def test_a_ticket_has_what_support_asks_for(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    text = told(capsys, "8")
    assert re.search(r"\nwritten +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d\n", text)
    assert "\nabout       demo/1, trial 8\n" in text
    assert re.search(
        r"\nversions    Headway [^;]+; Python 3[\d.]+; submitit \S+; SQLAlchemy 2", text
    )
    assert "\nSlurm       version slurm-wlm 22.05.8; cluster big\n" in text
    assert "\nasked for   partition alpha; memory 2 GiB; cpus 4; nodes 1\n" in text
    assert "\njobs        9_0, 77_2\n" in text
    assert "\nhosts       node9, node3\n" in text
    assert f"\nscript      {search.run_dir}/submissions/77.sh\n" in text
    assert "\nattempt 2, job 77_2 on node3: FAILED\n" in text
    assert "  class        PROGRAM (disk-full)\n  why          a file system was full\n" in text
    assert "  Slurm state  FAILED\n  evidence     exit code 1\n  done         given up: its" in text
    assert "  No space left" in text
    assert "what Headway suggests:" in text


@pytest.mark.usefixtures("failed")
def test_a_ticket_holds_no_secret_and_no_command_for_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = told(capsys, "8")
    assert PASSWORD not in text
    assert "postgresql://me:***@db/x" in text
    assert "very-secret-token" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:p%40ss%2Fword@host/x",
        "postgresql://host/x?user=me&password=p%40ss%2Fword",
        "mysql://me:p%40ss%2Fword@host/x?ssl_passphrase=p%40ss",
    ],
)
def test_the_password_of_the_database_is_taken_out_wherever_a_program_printed_it(
    url: str,
) -> None:
    facts = {
        "log_tail": ["it is p@ss/word", "or p%40ss%2Fword"],
        "asked": {"n": 3, "s": "p@ss/word!"},
    }
    assert _without_password(facts, url) == {
        "log_tail": ["it is ***", "or ***"],
        "asked": {"n": 3, "s": "***!"},
    }


@pytest.mark.usefixtures("failed")
def test_a_ticket_about_the_search_has_its_findings_and_the_log_of_the_head(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "".join(f'{{"event": "number {number}"}}\n' for number in range(100))
    (search.run_dir / "head.log").write_text(lines)
    text = told(capsys)
    assert "\nabout       demo/1\n" in text
    assert "\nstate       it goes on; 6 of 10 trials have ended" in text
    assert "\nfailures  4 attempts failed with PROGRAM: " in text
    assert text.count("number ") == 15
    assert 'number 99"' in text


@pytest.mark.usefixtures("failed")
def test_programs_get_the_same_as_json_and_a_file_the_same_text(
    capsys: pytest.CaptureFixture[str], here: Path
) -> None:
    answer = json.loads(told(capsys, "8", "--json"))
    assert answer["slurm"]["cluster"] == "big"
    assert answer["attempts"][1]["job"] == "77_2"
    told(capsys, "8", "--output", str(here / "ticket.txt"))
    assert "attempt 2, job 77_2 on node3: FAILED" in (here / "ticket.txt").read_text()
