"""What a worker reports when its program has ended."""

from __future__ import annotations

from typing import Any

from db.records import EndPayload

GIB = 2**30


def end(**changes: Any) -> EndPayload:
    """A success, unless it is changed."""
    payload: EndPayload = {
        "results": {"LOSS": 1.0, "ACC": 2.0},
        "sems": {},
        "infos": {},
        "artifacts": [],
        "problems": [],
        "cause": "EXIT",
        "exit_code": 0,
        "signal": None,
        "host": "node1",
        "slurm_job_id": "7",
        "started_at": "2030-01-02T03:04:05.000000+00:00",
        "ended_at": "2030-01-02T03:04:06.000000+00:00",
        "measured": {
            "wall_seconds": 61.4,
            "user_seconds": 1.0,
            "system_seconds": 0.1,
            "peak_memory_bytes": GIB,
        },
        "tail": "",
    }
    return {**payload, **changes}  # type: ignore[typeddict-item]
