"""`headway export`: takes the data of an experiment out, for other programs.

Only argparse is imported here, so that `--help` answers at once; what it does lies in `export_files`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from orchestrator.cli.parser import EXPERIMENT, Parser
from orchestrator.errors import UsageError, did_you_mean

FORMATS = ("csv", "json", "parquet", "ax")
TABLES = ("trials", "outcomes", "metrics", "attempts", "generations", "events")
_EXAMPLES = (
    "headway export first > first.csv",
    "headway export first --format json --table all --output first.json",
    "headway export first/2 --format parquet --table trials,metrics --output first",
    "headway export first --format ax --output first-ax.db",
)


def run(name: str, words: list[str]) -> int:
    """Run the command and return its exit code.

    Raises:
        UsageError: It cannot be called like this, or what it asks for is not there.
        HeadwayError: A file could not be written.
        DatabaseError: The database does not answer any more.
    """
    given = parse(name, words)
    from orchestrator.cli import export_files

    return export_files.export(given)


def make_parser(name: str) -> Parser:
    """Make the parser of the command."""
    parser = Parser(name, "Take the data of a search out, for other programs.", _EXAMPLES)
    parser.add_argument("experiment", nargs="?", metavar="EXP", help=EXPERIMENT)
    parser.add_argument(
        "--format",
        metavar="FORMAT",
        default="csv",
        help="csv; json; parquet; or ax: an SQLite file that Ax loads (default: csv)",
    )
    parser.add_argument(
        "--table",
        metavar="TABLES",
        help=f"{', '.join(TABLES)}, several separated by commas, or all (default: trials, one row "
        "each)",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="the file, - for standard output (default, for csv and json), or a folder for several "
        "tables of csv or parquet",
    )
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    parser.add_places()
    return parser


def parse(name: str, words: Sequence[str]) -> argparse.Namespace:
    """Read the words after `headway export`; `table` becomes a tuple of names.

    Raises:
        UsageError: It names what is wrong.
        SystemExit: After `--help`.
    """
    given = make_parser(name).parse(words)
    if given.format not in FORMATS:
        hint = did_you_mean(given.format, FORMATS)
        raise UsageError(f"--format: {given.format!r} is none of {', '.join(FORMATS)}.", hint)
    if given.format == "ax" and given.table is not None:
        raise UsageError("--table: ax always takes the whole experiment; leave it out")
    given.table = _tables("trials" if given.table is None else given.table)
    _check_output(given)
    return given


def _tables(text: str) -> tuple[str, ...]:
    names = dict.fromkeys(word.strip() for word in text.split(","))
    for name in names:
        if name not in {*TABLES, "all"}:
            hint = did_you_mean(name, [*TABLES, "all"])
            allowed = ", ".join(TABLES)
            raise UsageError(f"--table: {name!r} is no table: {allowed}, or all.", hint)
    return TABLES if "all" in names else tuple(names)


def _check_output(given: argparse.Namespace) -> None:
    is_stdout = given.output in {None, "-"}
    if given.output == "":
        raise UsageError("--output: it is empty; give the name of a file")
    if is_stdout and given.format in {"parquet", "ax"}:
        raise UsageError(f"--output: {given.format} does not go to standard output; give a file")
    if is_stdout and given.format == "csv" and len(given.table) > 1:
        raise UsageError("--output: several tables as csv need a folder; give its name")
