"""The tables of Headway, typed. The only store; what other systems read are views over them.

Every table and column carries a comment that also ends up in the database where it keeps them.
Times are UTC. JSON columns hold what is open-ended; nothing in them is ever executed or unpickled.
"""

from db.sql.tables.attempt import Attempt, Report, Submission
from db.sql.tables.base import Base, table_of
from db.sql.tables.experiment import (
    Card,
    CodeFile,
    Experiment,
    Objective,
    Parameter,
    ParameterConstraint,
    SpecVersion,
)
from db.sql.tables.generation import Generation, GenerationNode, StrategySnapshot
from db.sql.tables.head import Event, HeadLease
from db.sql.tables.host import Exclusion, Host
from db.sql.tables.trial import Artifact, Metric, Outcome, Trial

__all__ = [
    "Artifact",
    "Attempt",
    "Base",
    "Card",
    "CodeFile",
    "Event",
    "Exclusion",
    "Experiment",
    "Generation",
    "GenerationNode",
    "HeadLease",
    "Host",
    "Metric",
    "Objective",
    "Outcome",
    "Parameter",
    "ParameterConstraint",
    "Report",
    "SpecVersion",
    "StrategySnapshot",
    "Submission",
    "Trial",
    "table_of",
]
