"""Scenario 25: the program's files change while trials wait.

Without copies the change is noticed and said, by the trials that meet it and by the head that takes
over. With `--snapshot` trials that waited run what was there when the search was started.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from tests.main_job.runs import Place, lines_of, wait_until
from tests.scenarios.evidence import Evidence

BASE = ("run", "--experiment_name", "code", "--partition", "alpha", "--mem_gb", "0.1")
SPACE = ("--parameter", "x", "range", "0", "1", "--seed", "1", "--num_random_steps", "9")
FAST = ("--timing", "poll_max_seconds=2", "calls_per_minute=600")
# The first trial waits; those behind it are pending meanwhile.
GATE = 'echo "$HEADWAY_TRIAL" >> seen; until [ -e {gate} ]; do sleep 0.1; done; '


def write(folder: Path, version: str) -> None:
    """Put a version of the program, and of what it reads, into a folder."""
    for name, text in (
        (
            "train.sh",
            f'. "$(dirname "$0")/lib/tools.sh"; echo "OO-Info: code: {version}"; show "$1"',
        ),
        ("lib/tools.sh", f'show() {{ echo "OO-Info: tools: {version}"; echo "RESULT: $1"; }}'),
        ("plain.txt", version),
    ):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(text + "\n")
        new.rename(path)


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def test_a_change_is_said_by_the_trials_that_meet_it_and_by_the_next_head(
    login_node: Place,
) -> None:
    folder, evidence = login_node.folder, Evidence(login_node, "code")
    script = folder / "train.sh"
    write(folder, "one")
    first = digest(script)
    program = f"{GATE.format(gate=folder / 'gate')}bash train.sh %(x)"
    words = (*BASE, *SPACE, *FAST, "--max_eval", "3", "--num_parallel_jobs", "1")
    head = login_node.start(*words, "--run_program", program)
    wait_until(lambda: lines_of(folder / "seen") == ["0"])
    write(folder, "second")
    (folder / "gate").touch()
    code, output = head.wait()
    assert code == 0, output
    assert output.count("a file that the program names has changed") == 1
    met = evidence.rows("SELECT path, sha256, attempt_id FROM code_file ORDER BY id")
    second = digest(script)
    assert [row for row in met if row[0] == str(script)] == [
        (str(script), first, None),
        (str(script), second, 2),
    ]
    (event,) = evidence.events("code")
    assert (event["trial_index"], event["files"][str(script)]["sha256"]) == (1, second)
    assert f"changed since the start: {script}" in login_node.run("status", "code")
    assert second in login_node.run("show", "code", "2")
    assert "changed since the head looked" in login_node.run("logs", "code", "1")
    write(folder, "the third")
    told = login_node.run("resume", "code", "--max_eval", "4")
    assert f"have changed since an earlier head  files={script}" in told
    assert "a file that the program names has changed" not in told
    evidence.assert_exactly(4)


@pytest.mark.postgres
def test_with_copies_pending_trials_run_what_was_submitted(
    login_node: Place, postgres_url: str
) -> None:
    folder, evidence = login_node.folder, Evidence(login_node, "code", postgres_url)
    write(folder, "one")
    gate = GATE.format(gate=folder / "gate")
    # One path is relative and one absolute; what is not listed is what it is now.
    program = f'{gate}bash {folder}/train.sh %(x); echo "OO-Info: plain: $(cat plain.txt)"'
    words = (*BASE, *SPACE, *FAST, "--max_eval", "4", "--num_parallel_jobs", "2")
    copies = ("--snapshot", "train.sh", "lib", "--db_url", postgres_url)
    head = login_node.start(*words, *copies, "--run_program", program)
    snapshot = folder / "runs" / "code" / "1" / "snapshot"
    seen = snapshot / str(folder).lstrip("/") / "seen"
    wait_until(lambda: len(lines_of(seen)) == 2)
    write(folder, "second")
    (folder / "gate").touch()
    code, output = head.wait()
    assert code == 0, output
    assert output.count("has changed") == 1
    assert f"files={folder}/plain.txt\n" in output
    rows = login_node.results("code")
    assert [(row["code"], row["tools"]) for row in rows] == [("one", "one")] * 4
    assert [row["plain"] for row in rows] == ["second"] * 4
    login_node.run("resume", "code", "--db_url", postgres_url, "--max_eval", "5")
    assert login_node.results("code")[4]["code"] == "one"
    evidence.assert_exactly(5)


@pytest.mark.postgres
def test_a_resume_without_its_copies_runs_nothing(login_node: Place, postgres_url: str) -> None:
    write(login_node.folder, "one")
    words = (*BASE, *SPACE, *FAST, "--max_eval", "1", "--db_url", postgres_url)
    program = ("--run_program", "bash train.sh %(x)", "--force_local_execution")
    login_node.run(*words, *program, "--snapshot", "train.sh", "lib")
    snapshot = login_node.folder / "runs" / "code" / "1" / "snapshot"
    snapshot.rename(snapshot.with_name("elsewhere"))
    code, output = login_node.start(
        *("resume", "code", "--db_url", postgres_url, "--max_eval", "2")
    ).wait()
    assert code == 2
    assert "is gone, where the copies of --snapshot were" in output
    assert "Traceback" not in output
    snapshot.with_name("elsewhere").rename(snapshot)
    login_node.run("resume", "code", "--db_url", postgres_url, "--max_eval", "2")
    assert len(login_node.results("code")) == 2
