"""The SQL store: engine, tables, and one module of queries a noun. The only home of SQLAlchemy."""
