"""What a worker's message must look like before anything is done with it.

Between a worker and the head lie a file system and a database that others may have written to, or
that a crash has left half-written. Nothing of a message is used before it was read here: afterwards
every key that the head looks at is there, is of its type, and fits into its column.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from db.records import ReportMessage
from db.states import Level, ReportKind, Split

# Deeper than anything that a worker says.
_DEEPEST = 12
_LONGEST_TOKEN = 80
_INT32, _INT64 = 2**31 - 1, 2**63 - 1
# What PostgreSQL cannot store, and what no encoding has.
_UNSTORABLE = dict.fromkeys((0, *range(0xD800, 0xE000)), "\ufffd")
_FIRST_YEAR, _LAST_YEAR = 1970, 9998


class BadMessageError(Exception):
    """This can never become a report; the text says why, in one line."""


@dataclass(frozen=True)
class _Form:
    """What a value may be, in words and as a test."""

    words: str
    fits: Callable[[Any], bool]


def read_message(content: object) -> ReportMessage:
    """Return a JSON value as the message that it is.

    Raises:
        BadMessageError: It is none.
    """
    found = _record("the message", content, _MESSAGE)
    read: ReportMessage = {
        "attempt_id": found["attempt_id"],
        "attempt_token": found["attempt_token"],
        "kind": found["kind"],
        "sequence": found["sequence"],
        "created_at": found["created_at"],
        "payload": read_payload(found["kind"], found["payload"]),
    }
    return read


def read_payload(kind: str, payload: object) -> dict[str, Any]:
    """Return what a report of this kind says; keys that nobody knows are kept.

    Characters that no database can store are replaced: a text is not worth a result.

    Raises:
        BadMessageError: Something that the head needs is missing or cannot be used.
    """
    return _record("the payload", payload, _PAYLOADS[ReportKind(kind)])


def read_heartbeat(content: Mapping[str, Any]) -> str:
    """Return the token of the attempt that a sign of life is of.

    Raises:
        BadMessageError: It is no sign of life.
    """
    return str(_record("the heartbeat", content, {"attempt_token": _TOKEN})["attempt_token"])


def _record(name: str, value: object, forms: Mapping[str, _Form]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadMessageError(f"{name} is not an object")
    for key, form in forms.items():
        if not form.fits(value.get(key)):
            what = "is not" if key in value else "is missing: it must be"
            raise BadMessageError(f"{key} {what} {form.words}")
    kept: dict[str, Any] = _storable(value, _DEEPEST)
    return kept


def _storable(value: Any, depth: int) -> Any:
    """Return a copy that every database can store."""
    if isinstance(value, str):
        return value if value.isascii() and "\0" not in value else value.translate(_UNSTORABLE)
    if isinstance(value, dict | list):
        if depth == 0:
            raise BadMessageError("it is nested too deeply")
        if isinstance(value, list):
            return [_storable(each, depth - 1) for each in value]
        return {_storable(k, 1): _storable(each, depth - 1) for k, each in value.items()}
    if isinstance(value, float) and not _is_number(value):
        raise BadMessageError(f"{value} is not a finite number")
    return value


def _is_number(value: Any) -> bool:
    """Whether this is a number that a column of floats can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # SQLite takes no larger integer, even where it would make a float of it.
    most = _INT64 if isinstance(value, int) else sys.float_info.max
    return -most <= value <= most


def _is_time(value: Any) -> bool:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return moment.tzinfo is not None and _FIRST_YEAR <= moment.year <= _LAST_YEAR


def _is_token(value: Any) -> bool:
    """Whether this may be a part of a file's name."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TOKEN:
        return False
    return value.isprintable() and "/" not in value


def _text(most: int) -> _Form:
    words = f"a text of at most {most} characters"
    return _Form(words, lambda value: isinstance(value, str) and len(value) <= most)


def _whole(lowest: int, highest: int) -> _Form:
    def fits(value: Any) -> bool:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return is_whole and lowest <= value <= highest

    return _Form(f"a whole number from {lowest} to {highest}", fits)


def _word(*words: str) -> _Form:
    text = f"one of {', '.join(words)}"
    return _Form(text, lambda value: isinstance(value, str) and value in words)


def _optional(form: _Form) -> _Form:
    return _Form(f"{form.words}, or null", lambda value: value is None or form.fits(value))


def _list(form: _Form) -> _Form:
    def fits(value: Any) -> bool:
        return isinstance(value, list) and all(map(form.fits, value))

    return _Form(f"a list, each of it {form.words}", fits)


def _table(form: _Form) -> _Form:
    def fits(value: Any) -> bool:
        return isinstance(value, dict) and all(map(form.fits, value.values()))

    return _Form(f"an object, each value of it {form.words}", fits)


def _object(words: str, forms: Mapping[str, _Form]) -> _Form:
    def fits(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        return all(form.fits(value.get(key)) for key, form in forms.items())

    return _Form(words, fits)


_TOKEN = _Form("a token", _is_token)
_ANY_TEXT = _Form("a text", lambda value: isinstance(value, str))
_NUMBER = _Form("a finite number", _is_number)
_SCALAR = _Form(
    "a text, a number, true, false or null",
    lambda value: value is None or isinstance(value, str | bool) or _is_number(value),
)
_TIME = _Form("a time with its zone", _is_time)
_COUNT = _whole(0, _INT64)
_CODE = _optional(_whole(-_INT32, _INT32))
_MESSAGE = {
    "attempt_id": _whole(0, _INT32),
    "attempt_token": _TOKEN,
    "kind": _word(*ReportKind),
    "sequence": _whole(0, _INT32),
    "created_at": _TIME,
    "payload": _Form("an object", lambda value: isinstance(value, dict)),
}
_ARTIFACT = {"name": _ANY_TEXT, "path": _ANY_TEXT, "bytes": _COUNT}
_METRIC = {
    "name": _text(100),
    "value": _optional(_NUMBER),
    "split": _word(*Split),
    "level": _word(*Level),
    "step": _optional(_whole(-_INT64, _INT64)),
    "at": _TIME,
}
_MEASURED = {"wall_seconds": _NUMBER, "peak_memory_bytes": _NUMBER}
_CODE_VERSION = {"sha256": _text(64), "bytes": _COUNT}
_PAYLOADS: dict[ReportKind, dict[str, _Form]] = {
    ReportKind.START: {
        "claim": _text(40),
        "host": _text(255),
        "slurm_job_id": _optional(_text(60)),
        "restart": _optional(_whole(0, _INT32)),
        "memory_mb": _optional(_whole(1, _INT32)),
        "previous": _optional(_whole(0, _INT32)),
        "code": _optional(_table(_object("a version of a file", _CODE_VERSION))),
    },
    ReportKind.METRIC: {"metrics": _list(_object("a measurement", _METRIC))},
    ReportKind.END: {
        "results": _table(_NUMBER),
        "sems": _table(_NUMBER),
        "infos": _table(_ANY_TEXT),
        "artifacts": _list(_object("a file", _ARTIFACT)),
        "problems": _list(_ANY_TEXT),
        "cause": _word("EXIT", "TIMEOUT", "TERMINATED", "NOT_STARTED"),
        "exit_code": _CODE,
        "signal": _CODE,
        "host": _text(255),
        "started_at": _TIME,
        "ended_at": _TIME,
        "measured": _object("an object with what was measured", _MEASURED),
        "told_by": _CODE,
        "is_unfit": _optional(_Form("true or false", lambda value: isinstance(value, bool))),
        "checks": _optional(_table(_SCALAR)),
        "submission_token": _optional(_TOKEN),
        "array_index": _optional(_whole(0, _INT32)),
        "restart": _optional(_whole(0, _INT32)),
        "slurm_job_id": _optional(_text(60)),
    },
}
