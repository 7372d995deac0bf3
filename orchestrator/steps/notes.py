"""How a step tells what happens: one line for the log and the terminal."""

from __future__ import annotations

from collections.abc import Callable

# Called with a text, `level` (debug, info, warning, error) and fields.
Note = Callable[..., None]
