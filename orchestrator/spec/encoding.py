"""Texts that may come plain or in base64, as OmniOpt2 takes its program and constraints."""

from __future__ import annotations

import base64
import binascii

# A word of fewer letters without padding is taken as it is: by chance one in twenty words of four
# letters would decode to something printable, and no program or constraint is that short.
SHORTEST = 8
WRAP = 76  # the length of line that `base64` prints


def decode_text(text: str) -> str:
    """Return the text, decoded if it is base64.

    It is base64 only if it decodes strictly (alphabet, length, padding, unused bits) to printable
    UTF-8, new lines and tabs allowed; lines as `base64` wraps them are understood. All else stays
    as it is: `true`, `sleep`, `echo1234` and every text with a space, dot or hyphen in it. A plain
    word of 8, 12, 16 … letters and digits that happens to decode to printable text would be
    misread (about one in 400 of 8 letters, far fewer of longer ones); written as `./word` or
    `word ;` it stays plain.
    """
    packed = _joined(text)
    if len(packed) < SHORTEST and not packed.endswith("="):
        return text
    try:
        data = base64.b64decode(packed, validate=True)
        decoded = data.decode("utf-8")
    except (binascii.Error, ValueError):
        return text
    is_strict = base64.b64encode(data).decode("ascii") == packed
    return decoded if is_strict and _is_readable(decoded) else text


def _joined(text: str) -> str:
    """Undo the wrapping of `base64`: every line but the last is exactly as long as a line is."""
    lines = text.split()
    is_wrapped = all(len(line) == WRAP for line in lines[:-1])
    return "".join(lines) if is_wrapped else text


def _is_readable(text: str) -> bool:
    plain = text.translate({ord(mark): None for mark in "\n\r\t"})
    return bool(text.strip()) and (plain.isprintable() or not plain)
