"""What an experiment of the steps' tests asks for."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.spec.experiment import ExperimentSpec


def make_spec(**changes: Any) -> ExperimentSpec:
    """A small experiment with two objectives on Slurm."""
    values: dict[str, Any] = {
        "name": "e",
        "program": "true",
        "working_folder": "/",
        "space": {
            "parameters": [
                {"kind": "range", "name": "x", "value_type": "float", "lower": 0, "upper": 1e9}
            ]
        },
        "objectives": [{"name": "LOSS"}, {"name": "ACC", "minimize": False}],
        "strategy": {"nodes": [{"generator": "SOBOL"}]},
        "executor": "slurm",
        "num_parallel_jobs": 2,
        "max_eval": 4,
        "seed": 1,
        "timing": {"calls_burst": 1000},
    }
    return ExperimentSpec.from_json(json.dumps(values | changes))
