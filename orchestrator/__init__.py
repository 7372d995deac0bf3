"""The head and the commands that a user types.

The way of a trial through the rooms: `cli` asks, `app` puts parts together, `loop` repeats, `steps`
do (observe, settle, propose, submit), `generators` propose, `cluster` runs, `health` judges,
`reports` show, `spec` says what was wanted.
"""
