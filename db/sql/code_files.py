"""Files that the program names: in which versions they were met."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from db.records import CodeVersion
from db.sql.store import now
from db.sql.tables import CodeFile, table_of

_code_file = table_of(CodeFile)


def versions(connection: sa.Connection, experiment_id: int) -> dict[str, set[str]]:
    """Return the versions of each file, as sha256; an empty one says that it was gone."""
    query = sa.select(_code_file.c.path, _code_file.c.sha256).where(
        _code_file.c.experiment_id == experiment_id
    )
    found: dict[str, set[str]] = {}
    for path, sha256 in connection.execute(query):
        found.setdefault(path, set()).add(sha256)
    return found


def add(
    connection: sa.Connection,
    experiment_id: int,
    met: Mapping[str, CodeVersion],
    *,
    attempt_id: int | None = None,
) -> None:
    """Store versions that were not met before.

    Args:
        connection: The transaction.
        experiment_id: The experiment.
        met: The new version by path.
        attempt_id: The attempt that met them; None: it was so when a head started.
    """
    moment = now()
    rows = [
        {
            "experiment_id": experiment_id,
            "path": path,
            "sha256": version["sha256"],
            "bytes": version["bytes"],
            "attempt_id": attempt_id,
            "created_at": moment,
        }
        for path, version in met.items()
    ]
    if rows:
        connection.execute(sa.insert(_code_file), rows)
