"""What Headway remembers: states, records, the SQL store and the spool.

Importing this package imports nothing else, so that a worker that reports through the spool never
pays for a database library.
"""
