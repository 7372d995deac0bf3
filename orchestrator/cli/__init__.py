"""The command line: one table of commands, one place that turns errors into exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(words: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Args:
        words: What stands after `headway`.
    """
    from orchestrator.cli.commands import dispatch

    try:
        return dispatch(list(words))
    except BrokenPipeError:
        # The reader of a pipe has seen enough; Python would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last border before the user
        return _report(error)


def _report(error: Exception) -> int:
    """Say in one line what is wrong and what to do; a traceback only for what nobody foresaw."""
    from db.errors import DatabaseError, LeaseLost
    from orchestrator.errors import HeadAliveError, HeadwayError

    if isinstance(error, HeadwayError):
        print(f"headway: {error}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, DatabaseError):
        print(f"headway: {error}", file=sys.stderr)
        return HeadAliveError.exit_code if isinstance(error, LeaseLost) else HeadwayError.exit_code
    return _unforeseen(error)


def _unforeseen(error: Exception) -> int:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w", prefix="headway-error-", suffix=".txt", delete=False
    ) as file:
        traceback.print_exception(error, file=file)
    said = f"{type(error).__name__}: {error}".splitlines()[0]
    print(f"headway: this should not happen: {said}; details are in {file.name}", file=sys.stderr)
    return 1
