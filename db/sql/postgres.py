"""What PostgreSQL needs: an end to everything that may hang, on both sides of a network."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

# A server that vanished without a word is noticed within about half a minute: by probes while
# nothing is said, and while something is, by how long it stays unheard (libpq, tcp_user_timeout).
ARGUMENTS: dict[str, Any] = {
    "application_name": "headway",
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
# What the server does to a head that it does not hear from any more: a transaction that stands still
# keeps its locks, the one on the lease among them, no longer than this.
IDLE_SECONDS = 60
# Nobody holds a row for longer than a moment; an upgrade takes whole tables, but beside no head.
LOCK_SECONDS = 20
# The reading of a million trials takes its time.
STATEMENT_SECONDS = 600
_LIMITS = (
    f"SET SESSION idle_in_transaction_session_timeout = '{IDLE_SECONDS}s';"
    f"SET SESSION lock_timeout = '{LOCK_SECONDS}s';"
    f"SET SESSION statement_timeout = '{STATEMENT_SECONDS}s'"
)


def limit(engine: sa.Engine) -> None:
    """Let the server end what a head leaves behind when it, or the network, is gone.

    With statements and not as an option of the connection, which poolers refuse.
    """
    if engine.dialect.name != "postgresql":
        return

    @sa.event.listens_for(engine, "connect")
    def set_limits(connection: Any, record: object) -> None:
        del record
        was = connection.autocommit
        connection.autocommit = True  # else they would end with a transaction that is rolled back
        with connection.cursor() as cursor:
            cursor.execute(_LIMITS)
        connection.autocommit = was

    engine.dispose()
