"""What workers and heads say of the files that the program names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from db.sql import code_files
from orchestrator.steps.code import MOST_VERSIONS, record
from tests.steps.worker import Worker
from tests.steps.world import World

FIRST = {"sha256": "a" * 64, "bytes": 1}
SECOND = {"sha256": "b" * 64, "bytes": 2}
NOTED = "a file that the program names has changed"
RESUMED = "files that the program names have changed since an earlier head"


@pytest.fixture
def named(world: World) -> World:
    """A head that has seen a file."""
    look(world, {"/w/train.py": FIRST})
    return world


def look(world: World, code: dict[str, Any]) -> None:
    """Let a head start that sees these files."""
    job = {"code": {path: {**version, "mtime_ns": 1} for path, version in code.items()}}
    (world.run_dir / "job.json").write_text(json.dumps(job))
    record(world.store, world.run_dir, note=world.note)


def start(worker: Worker, code: dict[str, Any]) -> None:
    """Report a start at which files had changed."""
    (attempt,) = worker.world.rows("attempt", id=worker.assignment["attempt_id"])
    claim = {
        "claim": attempt["claim"],
        "host": attempt["host"],
        "slurm_job_id": attempt["slurm_job_id"],
    }
    message = worker.message("START", {**claim, "code": code})
    worker.world.deliver({**message, "sequence": 1})


def versions(world: World) -> dict[str, set[str]]:
    with world.store.read() as connection:
        return code_files.versions(connection, world.experiment_id)


def test_a_new_version_is_stored_with_the_attempt_that_met_it_and_said_once(
    named: World, workers: list[Worker]
) -> None:
    for worker in workers:
        start(worker, {"/w/train.py": SECOND})
        named.tick()
    met = {row["sha256"]: row["attempt_id"] for row in named.rows("code_file")}
    key = workers[0].assignment["attempt_id"]
    assert met == {FIRST["sha256"]: None, SECOND["sha256"]: key}
    (told,) = named.noted(NOTED)
    assert (told["trial"], told["files"], told["level"]) == (0, "/w/train.py", "warning")
    (event,) = named.rows("event", kind="code")
    payload = event["payload"]
    assert payload == {"trial_index": 0, "attempt": key, "files": {"/w/train.py": SECOND}}


def test_a_file_that_this_experiment_does_not_name_is_left_out(
    named: World, workers: list[Worker]
) -> None:
    start(workers[0], {"/etc/passwd": SECOND})
    named.tick()
    assert versions(named) == {"/w/train.py": {FIRST["sha256"]}}
    assert named.noted(NOTED) == []


def test_a_file_that_trials_write_to_is_soon_watched_no_more(
    named: World, workers: list[Worker]
) -> None:
    with named.store.write() as connection:
        for number in range(MOST_VERSIONS - 2):
            version: Any = {"sha256": f"{number:064}", "bytes": number}
            code_files.add(connection, named.experiment_id, {"/w/train.py": version})
    for worker, version in zip(workers, (SECOND, {"sha256": "c" * 64, "bytes": 3}), strict=True):
        start(worker, {"/w/train.py": version})
        named.tick()
    (told,) = named.noted(NOTED)
    assert "not watched any more" in told["note"]
    assert len(versions(named)["/w/train.py"]) == MOST_VERSIONS


def test_a_resume_says_what_has_changed_or_gone(named: World, tmp_path: Path) -> None:
    there = tmp_path / "there.py"
    there.touch()
    # What is there for the first time is only stored: trials may have made it.
    look(named, {"/w/train.py": FIRST, str(there): FIRST})
    assert named.noted(RESUMED) == []
    look(named, {"/w/train.py": FIRST, str(there): SECOND})
    assert [told["files"] for told in named.noted(RESUMED)] == [str(there)]
    # A file that became too large to read is not told of any more, but it is not gone either.
    for _ in range(2):
        look(named, {})
    assert [told["files"] for told in named.noted(RESUMED)] == [str(there), "/w/train.py"]
    assert versions(named) == {
        "/w/train.py": {FIRST["sha256"], ""},
        str(there): {FIRST["sha256"], SECOND["sha256"]},
    }
    assert [list(row["payload"]["files"]) for row in named.rows("event", kind="code")] == [
        [str(there)],
        ["/w/train.py"],
    ]


def test_the_first_look_is_stored_and_not_worth_a_word(named: World) -> None:
    assert named.noted(RESUMED) == []
    assert named.rows("event", kind="code") == []
    assert versions(named) == {"/w/train.py": {FIRST["sha256"]}}
