"""Who types a command, as events and requests name people."""

from __future__ import annotations

import getpass
import os
import socket


def user_name() -> str:
    """Return the name of this user; the number where a container gives it no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def this_person() -> str:
    """Return user@host."""
    return f"{user_name()}@{socket.gethostname()}"
