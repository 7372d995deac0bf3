"""The lines of bash that come before a worker: what a site or a user needs on the node."""

from __future__ import annotations

import shlex

from orchestrator.spec.site import Site
from slurm_templates import TRIAL


def setup_lines(site: Site) -> list[str]:
    """Return the lines that prepare a trial, each text followed by a look at how it ended.

    Empty if the site wants none.
    """
    if not site.setup:
        return []
    lines = TRIAL.read_text(encoding="utf-8").splitlines()
    for text in site.setup:
        own = text.split("\n")
        lines += [*own, f"headway_check {shlex.quote(own[0])}"]
    return lines
