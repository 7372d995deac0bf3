"""Ax's tables, as OmniOpt2 documents them and as Ax 1.3.1 reads them.

Columns are the union of both: the page "Using the SQLite3 store" of OmniOpt2 names some that Ax has
dropped since, and two tables that Ax never had (`generation_step`, `data_row`). One trial has one
arm, one generator run and one data row. Keys are ours, or computed from them, so they never change.
"""

from __future__ import annotations

from db.views.ax import cards, experiment, strategy, trial
from db.views.spelling import View

SYSTEM = "Ax and OmniOpt2"
SOURCE = 'the page "Using the SQLite3 store" of OmniOpt2, and ax-platform 1.3.1'

_ALL: dict[str, View] = {
    **experiment.VIEWS,
    **strategy.VIEWS,
    **trial.VIEWS,
    **cards.VIEWS,
}
VIEWS: dict[str, dict[str, str]] = {name: view.texts() for name, view in _ALL.items()}
# What each view is, in a sentence.
COMMENTS: dict[str, str] = {name: view.comment for name, view in _ALL.items()}
# What each of their columns is, in their order.
COLUMNS: dict[str, dict[str, str]] = {name: view.meanings() for name, view in _ALL.items()}
