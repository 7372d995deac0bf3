"""Read-only queries for people who look: short transactions that block no writer, plain values out.

Nothing here locks a row or changes one. One module a noun; `reader` opens the database.
"""
