"""machinable's table of experiments: one of its experiments is one of our trials.

Its directory is the run folder, which always exists and holds the trial's log and checkpoints; a
trial has no lasting folder of its own. Its page calls `ORDER BY timestamp LIMIT 3` the most recent
ones; by SQL that gives the oldest, there and here: add `DESC` for the newest.
"""

from __future__ import annotations

from db.views.spelling import Column, View

SYSTEM = "machinable"
SOURCE = 'the page "Storage and retrieval" of machinable'

_LOG = """(SELECT e.run_dir || '/' || a.log_path FROM "attempt" a WHERE a.trial_id = t.id
        ORDER BY a.number DESC LIMIT 1)"""
_EXPERIMENTS = View(
    comment="machinable's experiments: one row a trial.",
    columns={
        "id": Column("t.id", "Key: trial.id"),
        "directory": Column(
            "e.run_dir", "The run folder, absolute; all trials of one run share it"
        ),
        "experiment_id": Column(
            """e.uuid || '/' || CAST(t."index" AS TEXT)""",
            "The same in every database: the experiment's uuid / number of the trial",
        ),
        "module": Column("e.name", "Name of the experiment"),
        "config": Column("{json:t.parameters}", "Parameter values by name, as JSON"),
        "seed": Column("g.seed", "Seed of the call that proposed it; NULL for an imported trial"),
        "group_path": Column('e."group"', "The experiment's group"),
        "timestamp": Column(
            "{epoch:t.created_at}", "When it was proposed, in whole seconds since 1970"
        ),
        "started_at": Column("t.run_started_at", "When a worker first claimed it, UTC"),
        "finished_at": Column("t.completed_at", "When its status became final, UTC; NULL before"),
        "log_path": Column(_LOG, "Log of its latest attempt, absolute"),
    },
    source="""FROM "trial" t JOIN "experiment" e ON e.id = t.experiment_id
    LEFT JOIN "generation" g ON g.id = t.generation_id""",
)
_ALL: dict[str, View] = {"experiments": _EXPERIMENTS}
VIEWS: dict[str, dict[str, str]] = {name: view.texts() for name, view in _ALL.items()}
# What each view is, in a sentence.
COMMENTS: dict[str, str] = {name: view.comment for name, view in _ALL.items()}
# What each of their columns is, in their order.
COLUMNS: dict[str, dict[str, str]] = {name: view.meanings() for name, view in _ALL.items()}
