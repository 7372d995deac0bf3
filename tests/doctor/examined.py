"""Runs `headway doctor` as a user does, and looks at what it says and leaves behind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.main_job.runs import Place

SHIFTED = Path(__file__).with_name("shifted_probe.py")
# In a stand-in for sbatch: the script is its last argument.
SCRIPT = "for script; do :; done"
# Between the shell and the probe.
BEFORE_PROBE = "s#^exec \\(.*\\)/worker/probe.py#exec {} \\1/worker/probe.py#"


@dataclass(frozen=True)
class Examined:
    """What it said."""

    code: int
    findings: list[dict[str, Any]]

    def only(self, check: str) -> dict[str, Any]:
        """Return the one finding of a check."""
        (found,) = (each for each in self.findings if each["check"] == check)
        return found

    def broken(self) -> dict[str, str]:
        """Return what is not well: the status by check."""
        return {each["check"]: each["status"] for each in self.findings if each["status"] != "ok"}


def examine(place: Place, *words: str) -> Examined:
    """Call it with `--json`."""
    code, output = place.start("doctor", *words, "--json").wait()
    said = json.loads(output)
    assert said["is_fit"] == (code == 0)
    return Examined(code, said["findings"])


def left_behind(place: Place) -> list[str]:
    """Return what lies in its folder that was not there before."""
    return sorted(path.name for path in place.folder.iterdir() if path.name not in {"bin", "calls"})
