"""Ports that nobody listens on."""

from __future__ import annotations

import contextlib
import random
import socket

# Below Linux' default range for outgoing connections (32768 up): a port from there could be taken
# by any connection of this machine between the choice and the start of the daemon.
LOWEST_PORT = 15_000
HIGHEST_PORT = 32_000


def free_ports(count: int) -> list[int]:
    """Return distinct ports of 127.0.0.1 that could be bound just now."""
    ports: list[int] = []
    # Not the global generator: a test that seeds it would give two clusters the same ports.
    chance = random.SystemRandom()
    with contextlib.ExitStack() as bound:
        while len(ports) < count:
            port = chance.randrange(LOWEST_PORT, HIGHEST_PORT)
            listener = bound.enter_context(socket.socket())
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
    return ports


def is_listening(port: int) -> bool:
    """Tell whether somebody accepts connections on this port of 127.0.0.1."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0
