"""Where an answer goes, and in what form: text for people, JSON or CSV, on the screen or in a file.

Every command with `Parser.add_json` runs its body by `answered`. A body that has rows or a record to
tell does it with `answer`; one that prints for itself looks at `given.json`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import HeadwayError, UsageError, did_you_mean

Row = Mapping[str, Any]

STDOUT = "-"
_FORMS = (".json", ".csv", ".txt")


def check_output(given: argparse.Namespace) -> None:
    """Look whether the file of `--output` can be written, and take its form from its ending.

    Raises:
        UsageError: It cannot, or its ending says no form, or another one than `--json`.
    """
    given.csv = False
    if given.output in {None, STDOUT}:
        return
    path = _target(given.output)
    suffix = path.suffix.lower()
    if given.json:
        if suffix in _FORMS and suffix != ".json":
            raise UsageError(f"--output: {given.output!r} ends in {suffix}, but --json was given")
    elif suffix not in _FORMS:
        known = f"a name that ends in {', '.join(_FORMS[:-1])} or {_FORMS[-1]}"
        hint = did_you_mean(suffix, _FORMS) or "With --json any name will do."
        raise UsageError(f"--output: {given.output!r} does not say the form; give {known}.", hint)
    given.json = given.json or suffix == ".json"
    given.csv = suffix == ".csv"


def _target(word: str) -> Path:
    from orchestrator.cli.urls import user_path

    path = user_path(word, "--output").resolve()  # a link may lead into a run folder
    if not word or not path.name:
        raise UsageError(f"--output: {word!r} is no name of a file")
    if not path.parent.is_dir():
        raise UsageError(f"--output: there is no folder {str(path.parent)!r}; make it first")
    if (path.parent / "spec.json").exists():
        raise UsageError(
            f"--output: {str(path.parent)!r} is a run folder; give a file outside of it"
        )
    if path.exists() and not path.is_file():
        raise UsageError(f"--output: {word!r} is no plain file; give another name")
    return path


def answered(given: argparse.Namespace, body: Callable[[argparse.Namespace], int]) -> int:
    """Run the body of a command and return its exit code.

    With `--output`, what it prints becomes that file: all of it or, if the body fails, nothing, and
    an older file stays. Its path is printed instead.

    Raises:
        HeadwayError: The file could not be written; and what the body raises.
    """
    if getattr(given, "output", None) in {None, STDOUT}:
        return body(given)
    text = io.StringIO(newline="")
    with contextlib.redirect_stdout(text):
        code = body(given)
    path = _target(given.output)
    _write(path, text.getvalue())
    print(path)
    return code


def _write(path: Path, text: str) -> None:
    from db.export.files import replacing

    try:
        with replacing([path]) as (temporary,):
            # What programs once printed may not be Unicode; it is kept visible.
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        why = error.strerror or str(error)
        raise HeadwayError(f"--output: {str(path)!r} could not be written: {why}") from None


def answer(
    given: argparse.Namespace,
    value: object,
    *,
    say: Callable[[], None],
    table: Sequence[Row] | None = None,
    columns: Sequence[str] = (),
) -> None:
    """Print an answer in the form that was asked for.

    Args:
        given: The words of the command.
        value: The rows or the record, as `--json` tells them.
        say: Prints the same for people.
        table: The rows as CSV tells them; None: those of `value`, objects and lists as JSON.
        columns: The first columns of CSV, there even without a row; others follow as rows have them.
    """
    from orchestrator.reports.tables import print_csv, print_json

    if given.json:
        print_json(value, stream=sys.stdout)
    elif getattr(given, "csv", False):
        rows = table if table is not None else _rows(value)
        print_csv(rows, columns, stream=sys.stdout)
    else:
        say()


def _rows(value: object) -> list[Row]:
    if isinstance(value, Mapping):
        return [value]
    assert isinstance(value, list | tuple)
    return list(value)
