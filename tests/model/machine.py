"""The model: all rules together, for each way in which workers report."""

from __future__ import annotations

from tests.model.heads import HeadRules
from tests.model.workers import WorkerRules


class AttemptMachine(HeadRules, WorkerRules):
    """Workers that write to the database."""

    transport = "direct"


class SpoolMachine(AttemptMachine):
    """Workers that leave files."""

    transport = "spool"
