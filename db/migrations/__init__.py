"""The history of the schema; the newest version is `db.sql.engine.SCHEMA_VERSION`."""
