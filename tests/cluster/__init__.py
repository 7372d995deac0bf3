"""A private Slurm and a private PostgreSQL on one machine, for tests and for trying things out.

Everything of one service lies in one folder (configuration, state, logs, sockets, pid files) and
listens on ports that were free, so several can live side by side. ``python -m tests.cluster``
is the way in for a person, ``tests.cluster.fixtures`` the one for pytest.
"""
