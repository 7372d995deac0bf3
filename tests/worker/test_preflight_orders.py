"""What a head tells its workers to look for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.app.runs import set_up
from tests.steps.specs import make_spec


def orders(folder: Path, **spec: Any) -> dict[str, Any]:
    """Set up a run and return what its `job.json` says of the preflight."""
    run = set_up(make_spec(**spec), db_url=None, run_root=folder)
    run.close()
    found: dict[str, Any] = json.loads((run.run_dir / "job.json").read_text())["preflight"]
    return found


def test_what_was_asked_for_is_looked_for(tmp_path: Path) -> None:
    found = orders(
        tmp_path,
        preflight="check me",
        resources={"gpus": 2, "memory_mb": 512},
        timing={"preflight_seconds": 7},
    )
    assert found == {"gpus": 2, "memory_mb": 512, "command": "check me", "seconds": 7}


def test_without_a_word_of_the_user_there_is_little_to_look_for(tmp_path: Path) -> None:
    found = orders(tmp_path)
    assert (found["gpus"], found["command"]) == (0, None)


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("gpu", 1),
        ("gpu:3", 3),
        ("gpu:a100", 1),
        ("gpu:a100:2", 2),
        ("tmp:10G, gpu:a100:2,gpu:v100:1", 3),
        ("shard:4", 0),
        ("gpumem:4", 0),
    ],
)
def test_gpus_are_counted_in_gres_too(tmp_path: Path, gres: str, gpus: int) -> None:
    assert orders(tmp_path, resources={"gres": gres})["gpus"] == gpus
