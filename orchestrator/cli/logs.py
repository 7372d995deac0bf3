"""`headway logs`: what the program of a trial printed, to its end if asked for."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from db.errors import DatabaseUnavailable
from db.sql.reading.detail import AttemptDetail
from db.sql.reading.reader import Reader
from db.states import OPEN_ATTEMPTS
from orchestrator.cli.answers import find_trial
from orchestrator.cli.places import Place, find, open_place
from orchestrator.errors import HeadwayError, UsageError

_PIECE = 1 << 16
_GLANCE_SECONDS = 0.3
# The database is asked this often whether the attempt has ended.
_ASK_SECONDS = 2.0


def logs(given: argparse.Namespace) -> int:
    """Print the log of one attempt."""
    place = find(given.experiment, run_root=given.run_dir, db_url=given.db_url)
    try:
        return _print(place, given)
    except OSError as error:
        if error.filename is None:  # it is not the log but standard output
            raise
        raise HeadwayError(f"{error.filename} cannot be read: {error.strerror}.") from None


def _print(place: Place, given: argparse.Namespace) -> int:
    with open_place(place) as reader:
        attempt = _attempt(reader, place, given.trial, given.attempt)
        path = _path(place, attempt)
        if given.follow:
            for piece in _until_the_end(reader, place, given.trial, attempt.number):
                _write(piece)
            return 0
    if not path.is_file():
        raise HeadwayError(_missing(place, given.trial, attempt, path))
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            _write(piece)
    return 0


def _attempt(reader: Reader, place: Place, index: int, number: int | None) -> AttemptDetail:
    with reader.read() as connection:
        found = find_trial(connection, place, index)
    if not found.attempts:
        raise HeadwayError(f"trial {index} of {place.label} has not been tried yet.")
    if number is None:
        return found.attempts[-1]
    for attempt in found.attempts:
        if attempt.number == number:
            return attempt
    last = found.attempts[-1].number
    raise UsageError(f"--attempt: trial {index} has no attempt {number}; it has 1 to {last}.")


def _path(place: Place, attempt: AttemptDetail) -> Path:
    return place.run_dir / (attempt.log_path or "no-log")


def _missing(place: Place, index: int, attempt: AttemptDetail, path: Path) -> str:
    if not place.run_dir.is_dir():
        return f"the run folder {place.run_dir} is not on this machine."
    if attempt.state in OPEN_ATTEMPTS:
        return f"trial {index} has no log yet: its attempt {attempt.number} is {attempt.state}."
    return f"attempt {attempt.number} of trial {index} left no log at {path}."


def _until_the_end(reader: Reader, place: Place, index: int, number: int) -> Iterator[bytes]:
    """Give what the attempt prints until the database says that it has ended."""
    attempt = _attempt(reader, place, index, number)
    path = _path(place, attempt)
    position, asked = 0, time.monotonic()
    while True:
        # Asked before the file is read: what was printed before the end is in the file then.
        is_over = attempt.state not in OPEN_ATTEMPTS
        for piece in _pieces(path, position):
            position += len(piece)
            yield piece
        if is_over:
            break
        time.sleep(_GLANCE_SECONDS)
        if time.monotonic() - asked >= _ASK_SECONDS:
            asked = time.monotonic()
            try:
                attempt = _attempt(reader, place, index, number)
            except DatabaseUnavailable:
                # Whether it has ended is not known; the log itself can still be read.
                continue
    if position == 0 and not path.is_file():
        raise HeadwayError(_missing(place, index, attempt, path))


def _pieces(path: Path, position: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            stream.seek(position)
            while piece := stream.read(_PIECE):
                yield piece
    except FileNotFoundError:
        return


def _write(piece: bytes) -> None:
    """Pass a log on byte by byte, as `cat` does; it may be in any encoding."""
    sys.stdout.flush()
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(sys.stdout.fileno(), rest) :]
