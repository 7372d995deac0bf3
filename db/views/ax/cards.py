"""Analyses: analysis_card_v2 as Ax has it now, and analysis_card as OmniOpt2 documents it."""

from __future__ import annotations

from db.views.ax.columns import EXPERIMENT
from db.views.spelling import Column, View

_KIND = "CASE c.kind WHEN 'TABLE' THEN 'dataframe' ELSE lower(c.kind) END"
# Ax takes no NULL in these.
_SHARED = {
    "id": Column("c.id", "Key: card.id"),
    "experiment_id": Column("c.experiment_id", EXPERIMENT),
    "name": Column("c.name", "The analysis that made it"),
    "title": Column("c.title", "Title"),
    "subtitle": Column("coalesce(c.subtitle, '')", "What it shows, in a sentence"),
    "dataframe_json": Column(
        "coalesce({json:c.data_frame}, '{}')", "The numbers as JSON, column by column"
    ),
    "blob": Column("coalesce(c.blob, '')", "Plotly's JSON, or Markdown"),
    "blob_annotation": Column(_KIND, "dataframe, plotly or markdown"),
}

_CARD_V2 = View(
    comment="Ax's analysis cards: one row a card.",
    columns={
        **_SHARED,
        "timestamp": Column("{epoch:c.created_at}", "When it was made, seconds since 1970"),
        "parent_id": Column("c.parent_id", "The card that it is a part of"),
        "order": Column("c.position", "Order among the parts of its parent"),
    },
    source='FROM "card" c',
)
_CARD = View(
    comment="OmniOpt2's analysis cards: one row a card.",
    columns={
        **_SHARED,
        "level": Column("d.level", "0 for a card of its own, 1 for a part of one, and so on"),
        "time_created": Column("{epoch:c.created_at}", "When it was made, seconds since 1970"),
        "attributes": Column("coalesce({json:c.attributes}, '{}')", "Anything else, as JSON"),
        "category": Column("c.category", "Cards that belong together"),
    },
    source="""FROM "card" c JOIN (
    WITH RECURSIVE deep (id, level) AS (
        SELECT r.id, 0 FROM "card" r WHERE r.parent_id IS NULL
        UNION ALL
        SELECT r.id, deep.level + 1 FROM "card" r JOIN deep ON deep.id = r.parent_id)
    SELECT id, level FROM deep) d ON d.id = c.id""",
)

VIEWS = {"analysis_card_v2": _CARD_V2, "analysis_card": _CARD}
