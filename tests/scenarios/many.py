"""A search of very many trials, made by the database itself: row by row would take minutes."""

from __future__ import annotations

from string import Template

from tests.reports.searches import Search

_STATEMENTS = (
    """
    INSERT INTO trial (experiment_id, "index", parameters, parameter_hash, status, created_at,
                       run_started_at, completed_at)
    $numbers SELECT 1, i, $point, '', 3, $begin, $begin, $ended FROM n
    """,
    """
    INSERT INTO attempt (trial_id, array_index, number, token, state, created_at)
    $numbers SELECT i + 1, 0, 1, CAST(i AS TEXT), 'SUCCEEDED', $begin FROM n
    """,
    """
    INSERT INTO outcome (trial_id, objective_id, mean, source, attempt_id)
    $numbers SELECT i + 1, 1, 1.0 + 1.0 / (1 + i), 'ATTEMPT', i + 1 FROM n
    """,
)
_WORDS = {
    "sqlite": {
        "point": """'{"x": 0.5, "kind": "a"}'""",
        "begin": "'2026-03-01 12:00:00.000000'",
        "ended": "strftime('%Y-%m-%d %H:%M:%f', '2026-03-01', i || ' seconds')",
    },
    "postgresql": {
        "point": """CAST('{"x": 0.5, "kind": "a"}' AS JSON)""",
        "begin": "TIMESTAMPTZ '2026-03-01 12:00:00Z'",
        "ended": "TIMESTAMPTZ '2026-03-01 00:00:00Z' + i * INTERVAL '1 second'",
    },
}


def complete_many(search: Search, count: int) -> None:
    """Give a search without trials, the only one in its database, `count` completed ones."""
    numbers = (
        f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1})"
    )
    words = _WORDS[search.engine.dialect.name] | {"numbers": numbers}
    with search.engine.begin() as connection:
        for statement in _STATEMENTS:
            text = Template(statement).substitute(words)
            is_plain = search.engine.dialect.name == "sqlite"
            connection.exec_driver_sql(text if is_plain else text.replace("%", "%%"))
        if search.engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE")
