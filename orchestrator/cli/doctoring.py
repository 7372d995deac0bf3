"""`headway doctor`: whether this cluster is fit for a search, from the login node to the nodes.

Only argparse is imported until the words have been read.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from orchestrator.cli.outputs import answer, answered
from orchestrator.cli.parser import Parser
from orchestrator.cli.quantities import text, whole
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from orchestrator.app.doctor.examination import Plan
    from orchestrator.app.doctor.findings import Finding

_COLUMNS = ("check", "status", "host", "says", "remedy")
_STYLES = {"ok": "green", "warning": "yellow", "FAILED": "bold red"}
_LONGEST_WAIT = 24 * 3600
_ALL = "all"
# Options that are those of `headway run`, and come from all places where that reads them.
_OF_RUN = ("partition", "account", "qos", "profile", "run_dir", "db_url")


def run(name: str, words: list[str]) -> int:
    """Run the command and return its exit code: 1 if something is broken.

    Raises:
        UsageError: It cannot be called like this.
    """
    return answered(make_parser(name).parse(words), diagnose)


def make_parser(name: str) -> Parser:
    """Make the parser of the command."""
    parser = Parser(
        name,
        "Is this cluster fit for a search? One line a finding, with the remedy. Looks at the run\n"
        "folder, the database, Slurm, and by a short probe job at a node; leaves nothing behind.\n"
        "Exit code 1: something has FAILED.",
        (
            "headway doctor",
            "headway doctor --partition gpu --db_url @url.txt",
            "headway doctor --profile mycluster --nodes all --wait 600",
            "headway doctor --nodes node[7-9] --json",
        ),
    )
    parser.add_argument(
        "--partition",
        metavar="NAME",
        type=text,
        help="partition, or several: a,b (default: the site's)",
    )
    parser.add_argument("--account", metavar="NAME", type=text, help="account that is charged")
    parser.add_argument("--qos", metavar="NAME", type=text, help="quality of service")
    parser.add_argument(
        "--profile", metavar="NAME", type=text, help="what this cluster asks of every job"
    )
    parser.add_argument(
        "--nodes",
        metavar="N|all|HOSTS",
        type=text,
        help="probe so many nodes, all that take jobs, or those named as node[1-3]; each by a job "
        "of its own (default: one, whichever Slurm takes)",
    )
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=whole(1, _LONGEST_WAIT),
        default=60,
        help="how long probes may wait until they begin (default: 60)",
    )
    parser.add_argument("--no_probe", action="store_true", help="submit nothing")
    parser.add_places()
    parser.add_json()
    return parser


def diagnose(given: argparse.Namespace) -> int:
    """Print what is found, as it is found."""
    from orchestrator.app.doctor.examination import examine
    from orchestrator.app.doctor.findings import Status

    plan = _plan(given)
    found: list[Finding] = []
    is_shown = not (given.json or given.csv)
    with _ended_by_signals(), contextlib.closing(examine(plan)) as findings:
        for finding in findings:
            found.append(finding)
            if is_shown:
                _show(finding)
    rows = [asdict(finding) for finding in found]
    counts = {status: sum(each.status is status for each in found) for status in Status}
    broken = counts[Status.FAILED]
    value = {"is_fit": not broken, "findings": rows}
    summary = _summary(broken, counts[Status.WARNING])
    answer(given, value, say=lambda: print(summary), table=rows, columns=_COLUMNS)
    return 1 if broken else 0


def _summary(broken: int, warnings: int) -> str:
    if not broken and not warnings:
        return "All is well."
    some = "1 warning" if warnings == 1 else f"{warnings} warnings"
    if not broken:
        return f"Nothing has FAILED; {some}."
    return f"{broken} FAILED, {some}." if warnings else f"{broken} FAILED."


def _show(finding: Finding) -> None:
    """Print one line."""
    from orchestrator.reports.texts import printable

    status = f"{finding.status.value:<8}"
    tail = printable(f"{finding.check}: {finding.says}.")
    remedy = f" -> {printable(finding.remedy)}" if finding.remedy else ""
    if not sys.stdout.isatty():
        print(f"{status}{tail}{remedy}", flush=True)
        return
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble((status, _STYLES[finding.status.value]), tail, (remedy, "bold"))
    # Not broken into lines: what is copied from a terminal into a ticket stays one.
    Console(file=sys.stdout, highlight=False).print(line, soft_wrap=True)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and a lost terminal end this as Ctrl-C does: with everything cleared away.

    What was to be ignored still is (nohup).
    """

    def leave(number: int, frame: object) -> NoReturn:
        del frame
        raise SystemExit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, leave) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _plan(given: argparse.Namespace) -> Plan:
    """Put together what is to be looked at, from all places where `headway run` reads options.

    Raises:
        UsageError: Something is wrong with it; one line for each mistake.
    """
    from orchestrator.app.doctor.examination import Plan
    from orchestrator.cli.places import read_run_root
    from orchestrator.cli.request_parts import read_database, read_resources, read_site, read_timing
    from orchestrator.cli.sources import read_sources

    words = [
        word
        for name in _OF_RUN
        if getattr(given, name) is not None
        for word in (f"--{name}", getattr(given, name))
    ]
    cwd = Path.cwd()
    sources = read_sources(words, os.environ, cwd)
    if sources.settings.mistakes:
        raise UsageError("\n".join(sources.settings.mistakes))
    namespace = sources.namespace
    db_url, _ = read_database(sources, cwd)
    return Plan(
        resources=read_resources(namespace, read_timing(namespace.timing)),
        site=read_site(sources),
        run_root=read_run_root(namespace.run_dir, cwd),
        db_url=db_url,
        hosts=_nodes(given.nodes),
        has_probe=not given.no_probe,
        wait_seconds=given.wait,
        wants_slurm=any(
            value is not None for value in (given.partition, given.nodes, given.profile)
        ),
    )


def _nodes(word: str | None) -> tuple[str, ...] | int | None:
    """Return how many nodes are meant, or which.

    Raises:
        UsageError: It is neither a number nor a list of hosts.
    """
    from orchestrator.app.doctor.targets import ALL_NODES
    from orchestrator.spec.hostlists import expand_hosts

    if word is None or word == _ALL:
        return None if word is None else ALL_NODES
    if word.isdecimal():
        if not 1 <= int(word) <= ALL_NODES:
            raise UsageError(f"--nodes: {word} is out of range; give 1 to {ALL_NODES}, or all")
        return int(word)
    try:
        return expand_hosts([word])
    except ValueError as error:
        raise UsageError(f"--nodes: {error}, nor a number, nor `all`") from None
