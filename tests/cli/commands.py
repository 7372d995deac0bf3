"""The real command, in a process of its own."""

from __future__ import annotations

import os
import subprocess

from tests.main_job.runs import HEADWAY


def headway(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HEADWAY, *words],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **(env or {})},
    )
