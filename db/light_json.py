"""JSON without the `json` package, for the worker.

`import json` brings `re` and `enum` and more than doubles the start of a bare interpreter (15 ms to
34 ms of CPU where it was measured), once for every trial. CPython's own accelerator for that
package does the work alone; where it is missing or has changed, the package itself is used. The
tests hold both to the same answers.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SPACE = " \t\n\r"


def _refuse(word: str) -> float:
    """Refuse NaN and Infinity, which are not JSON."""
    message = f"not JSON: {word}"
    raise ValueError(message)


class _Strict:
    """The attributes that the scanner asks its decoder for."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse)
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner reads the class


def _accelerated() -> tuple[Callable[[str], Any], Callable[[Any], str]]:
    """Build `loads` and `dumps` from CPython's accelerator."""
    import _json

    scan = _json.make_scanner(_Strict)  # type: ignore[arg-type]

    def read(text: str) -> Any:
        text = text.strip(_SPACE)
        try:
            value, end = scan(text, 0)
        except (StopIteration, RecursionError, SystemError):
            end = -1  # the scanner leaves it to `json.decoder`, if that is loaded, to say why
        return value if end == len(text) else _ordinary()[0](text)

    def write(value: Any) -> str:
        encode = _json.make_encoder(
            {},
            _unknown,
            _json.encode_basestring_ascii,
            None,
            ": ",
            ", ",
            False,  # noqa: FBT003 - keys keep their order
            False,  # noqa: FBT003 - a key that is no text is an error
            False,  # noqa: FBT003 - so is a number that JSON does not know
        )
        return "".join(encode(value, 0))

    return read, write


def _unknown(value: object) -> Any:
    """Refuse what JSON cannot say."""
    message = f"{type(value).__name__} is not JSON"
    raise TypeError(message)


def _ordinary() -> tuple[Callable[[str], Any], Callable[[Any], str]]:
    """Build `loads` and `dumps` from the standard package."""
    import json

    def read(text: str) -> Any:
        try:
            return json.loads(text, parse_constant=_refuse)
        except RecursionError as error:
            message = f"not JSON: {text[:40]!r}"
            raise ValueError(message) from error

    def write(value: Any) -> str:
        return json.dumps(value, allow_nan=False)

    return read, write


def _choose() -> tuple[Callable[[str], Any], Callable[[Any], str]]:
    """Take the accelerator if it gives what is expected of it."""
    sample = {"a": [1, 0.1, True, None, "\u00e9"]}
    try:
        read, write = _accelerated()
        if read(write(sample)) == sample:
            return read, write
    except (ImportError, AttributeError, TypeError):
        pass
    return _ordinary()


_read, _write = _choose()


def loads(text: str) -> Any:
    """Read one JSON value; anything that is not strict JSON is a ValueError."""
    return _read(text)


def dumps(value: Any) -> str:
    """Write a value as one line of ASCII; nan and inf are a ValueError, unknown types a TypeError."""
    return _write(value)
