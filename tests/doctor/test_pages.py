"""The pages of `headway doctor` and of troubleshooting say what the code says."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from orchestrator.app.doctor import (
    databases,
    ends,
    examination,
    folders,
    probes,
    sights,
    slurm,
    targets,
)
from orchestrator.cli.parsers import parser_of, subcommands
from tests.main_job.runs import ROOT

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
DOCTOR = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
# Errors that end a command and are no mistake in what was typed.
ERRORS = (
    *("HeadwayError", "ClusterError", "HeadAliveError", "NeverStartsError", "RefusedForGoodError"),
    *("DatabaseError", "DatabaseUnavailable", "DatabaseInUse", "BadDatabaseUrl", "SchemaMismatch"),
    *("OlderSchema", "LeaseLost"),
)
# Those with … in them are no whole commands.
_CALL = re.compile(r"(?:^|`)headway ([^`\n…]+)(?=`|$)", re.MULTILINE)
CALLS = sorted({found.strip() for page in (PAGE, DOCTOR) for found in _CALL.findall(page)})
Pieces = tuple[str, ...]


def pieces(node: ast.AST) -> Pieces:
    """Return the constant parts of a text; none if it is no text."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return (node.value,)
    if isinstance(node, ast.JoinedStr):
        return tuple(str(part.value) for part in node.values if isinstance(part, ast.Constant))
    return ()


def texts() -> set[str]:
    """Return all texts of the code."""
    nodes = (node for _, tree in trees() for node in ast.walk(tree))
    return {"\0".join(found) for node in nodes if (found := pieces(node))}


@cache
def trees() -> tuple[tuple[Path, ast.Module], ...]:
    paths = [
        path for part in ("orchestrator", "db", "worker") for path in (ROOT / part).rglob("*.py")
    ]
    return tuple((path, ast.parse(path.read_text(encoding="utf-8"))) for path in sorted(paths))


def messages() -> list[str]:
    """Return the quoted texts of the first column, of the tables about messages."""
    body = PAGE.partition("\n## Errors\n")[2]
    cells = re.findall(r"^\| (`.+?) \| ", body, re.MULTILINE)
    return [text for cell in cells for text in re.findall(r"`([^`]+)`", cell)]


def constant(message: str) -> list[str]:
    """Return the parts of a message of the page that are always the same; … stands for the others."""
    return [part.strip() for part in message.split("…") if len(part.strip()) > 1]


def fits(parts: list[str], whole: str) -> bool:
    """Whether the parts of a message are all in a text of the code."""
    return all(part in whole for part in parts)


def test_every_message_of_the_page_is_one_of_the_code() -> None:
    found = messages()
    assert len(found) > 60
    known = texts()
    parts = {each: constant(each) for each in found}
    assert [each for each in found if not any(fits(parts[each], text) for text in known)] == []


def raised() -> Iterator[tuple[str, Pieces]]:
    for path, tree in trees():
        for node in ast.walk(tree):
            if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)):
                continue
            name = node.exc.func.id if isinstance(node.exc.func, ast.Name) else ""
            text = pieces(node.exc.args[0]) if node.exc.args else ()
            if name in ERRORS and any(" " in part.strip() for part in text):
                yield f"{path.name}:{node.lineno}", text


def test_every_error_that_is_no_slip_of_the_user_is_on_the_page() -> None:
    found = [constant(each) for each in messages()]
    missing = [
        (at, text)
        for at, text in raised()
        if not any(fits(each, "\0".join(text)) for each in found)
    ]
    assert missing == []


@pytest.mark.parametrize("command", CALLS)
def test_every_command_that_is_to_be_typed_exists(command: str) -> None:
    name, *words = shlex.split(command.partition("#")[0])
    known = subcommands(name)
    own = words.pop(0) if words and words[0] in known else ""
    parser_of(name, own if known else None).parse_args(words)


def test_every_check_is_on_the_page_of_doctor_and_the_other_way_round() -> None:
    told = {
        argument.value
        for module in (databases, ends, examination, folders, probes, sights, slurm, targets)
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id in {"ok", "warning", "failed"}
        for argument in node.args[:1]
        if isinstance(argument, ast.Constant)
    }
    rows = re.findall(r"^\| (`[^|]+`) \| ", DOCTOR, re.MULTILINE)
    assert told == {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
