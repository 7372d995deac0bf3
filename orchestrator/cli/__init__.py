"""The command line: one table of commands, one place that turns errors into exit codes."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence

# The reader of a pipe has seen enough, or a terminal is gone.
_NOBODY_READS = (errno.EPIPE, errno.EIO)


def main(words: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Args:
        words: What stands after `headway`.
    """
    _open_streams()
    try:
        return _run(words)
    except BrokenPipeError:
        _drop_output()  # the reader of a pipe has seen enough
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last border before the user
        return _report(error)


def _open_streams() -> None:
    """Give each standard stream that is closed its number, so that no database gets that.

    What the encoding of standard output lacks is printed as an escape, which JSON reads as well.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _run(words: Sequence[str]) -> int:
    """Run one command line to its last line of output, which is written here and not at exit."""
    from orchestrator.cli.commands import dispatch

    try:
        code = dispatch(list(words))
    except SystemExit as ended:  # argparse, after --help
        code = int(ended.code or 0)
    try:
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in _NOBODY_READS:
            raise
        _drop_output()
    return code


def _drop_output() -> None:
    """Forget what cannot be written: Python would try again at exit, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_output_lost() -> bool:
    """Whether standard output takes nothing: its disk is full, say."""
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _report(error: Exception) -> int:
    """Say in one line what is wrong and what to do; a traceback only for what nobody foresaw."""
    from db.errors import DatabaseError, DatabaseInUse, LeaseLost
    from orchestrator.errors import HeadAliveError, HeadwayError

    if isinstance(error, HeadwayError):
        for line in str(error).split("\n"):  # a rules file may have several mistakes
            print(f"headway: {line}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, DatabaseError):
        print(f"headway: {error}", file=sys.stderr)
        is_alive = isinstance(error, LeaseLost | DatabaseInUse)
        return HeadAliveError.exit_code if is_alive else HeadwayError.exit_code
    if isinstance(error, OSError) and _is_output_lost():
        print(f"headway: standard output could not be written: {error.strerror}", file=sys.stderr)
        _drop_output()
        return HeadwayError.exit_code
    return _unforeseen(error)


def _unforeseen(error: Exception) -> int:
    import tempfile
    import traceback

    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="headway-error-", suffix=".txt", delete=False, errors="backslashreplace"
        ) as file:
            traceback.print_exception(error, file=file)
        where = f"details are in {file.name}"
    except OSError as unwritten:  # a full disk may be what happened
        where = f"details could not be written: {unwritten.strerror}"
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    print(f"headway: this should not happen: {said}; {where}", file=sys.stderr)
    return 1
