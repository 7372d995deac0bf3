"""The database of a test, on every system; see tests/db/sql/conftest.py."""

from tests.db.sql.conftest import empty_url, engine, kind, postgres_template, url

__all__ = ["empty_url", "engine", "kind", "postgres_template", "url"]
