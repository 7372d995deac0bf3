"""How a person wants to look at a search: the keys of the live view and what they change."""

from __future__ import annotations

from dataclasses import dataclass, replace

QUIT = "q"
SUSPEND = "\x1a"  # Ctrl-Z
KEYS = (("q", "quit"), ("p", "freeze"), ("f", "failed only"), ("?", "help"))


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a frame is drawn.

    Attributes:
        ascii_only: Without Unicode.
        failed_only: Only what failed, instead of what runs and what ended.
        frozen: The frame stays as it is while the search goes on.
        helping: The page of keys and commands, instead of the search.
        has_keys: Whether keys are heard: then the last line names them.
        leads: Whether the head is in this terminal, so that Ctrl-C ends the search.
        problem: Why there is nothing newer to show; empty if this is new.
    """

    ascii_only: bool = False
    failed_only: bool = False
    frozen: bool = False
    helping: bool = False
    has_keys: bool = False
    leads: bool = False
    problem: str = ""


def pressed(look: Look, key: str) -> Look:
    """Return how to look after a key; one that means nothing changes nothing.

    Any key leaves the page of help.
    """
    if look.helping:
        return replace(look, helping=False)
    match key:
        case "p":
            return replace(look, frozen=not look.frozen)
        case "f":
            return replace(look, failed_only=not look.failed_only)
        case "?" | "h":
            return replace(look, helping=True)
        case _:
            return look
