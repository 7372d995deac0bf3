"""Python's garbage collection, put off while a command imports what it needs.

What the imports make stays to the end: to look through it for garbage again and again costs a tenth
of a second at the start, and as much when Python ends.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_collecting() -> Iterator[None]:
    """Put it off while the block runs, at the longest until `collect_again`."""
    gc.disable()
    try:
        yield
    finally:
        collect_again()


def collect_again() -> None:
    """Let what was made until now stay; what is made from now on is looked through as usual."""
    gc.freeze()
    gc.enable()
