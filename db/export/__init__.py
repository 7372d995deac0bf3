"""Takes data out of the database: files that other programs read.

Every file is made of the tables that `db.sql.reading.catalogue` names. Nothing is written there
under its own name before it is whole.
"""
