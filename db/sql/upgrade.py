"""Brings a database to the newest schema, by Alembic's migrations."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

import db.migrations

HOME = Path(db.migrations.__file__).parent


def upgrade(connection: sa.Connection, version: str = "head") -> None:
    """Run the migrations that a database lacks, in the transaction of `connection`."""
    command.upgrade(configuration(connection), version)


def configuration(connection: sa.Connection) -> Config:
    """Return Alembic's configuration for one connection; there is no ini file."""
    config = Config()
    config.set_main_option("script_location", str(HOME))
    config.attributes["connection"] = connection
    return config
