"""`headway stop`: end a search from any login node, whether its head is alive or not."""

from __future__ import annotations

import argparse
import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from db.person import this_person
from db.states import AttemptState, ExperimentStatus
from orchestrator.cli.parser import EXPERIMENT, Parser
from orchestrator.cli.tuning import add_wait

if TYPE_CHECKING:
    from orchestrator.app.runs import Run
    from orchestrator.cli.places import Place
    from orchestrator.steps.notes import Note

_OVER = frozenset({ExperimentStatus.FINISHED, ExperimentStatus.STOPPED, ExperimentStatus.FAILED})


def run(name: str, words: list[str]) -> int:
    """Run `headway stop` and return its exit code.

    Raises:
        UsageError: There is no such search, or its run folder cannot be reached.
        HeadwayError: Its head has not taken note in time, or its jobs cannot be cancelled.
    """
    from orchestrator.cli.asking import HeadGoneError, living_head
    from orchestrator.cli.places import find

    given = make_parser(name).parse(words)
    place = find(given.experiment, run_root=given.run_dir, db_url=given.db_url)
    host = living_head(place)
    if host is not None:
        try:
            return _ask(place, given, host)
        except HeadGoneError as error:
            print(f"note: {error.message}", flush=True)
            place = find(given.experiment, run_root=given.run_dir, db_url=given.db_url)
    return _without_head(place, given)


def make_parser(name: str) -> Parser:
    """Make the parser of `headway stop`."""
    parser = Parser(
        name,
        "End a search: no new trials, and running ones finish; with --now they are cancelled.\n"
        "`headway resume` goes on with it. It works from any login node, and waits until the head\n"
        "has taken note; if no head is alive, --now ends what it has left.",
        ("headway stop first", "headway stop first/2 --now"),
    )
    parser.add_argument("experiment", nargs="?", metavar="EXP", help=EXPERIMENT)
    parser.add_argument("--now", action="store_true", help="cancel the running trials, too")
    add_wait(parser)
    parser.add_places()
    return parser


def _ask(place: Place, given: argparse.Namespace, host: str) -> int:
    from db.spool.commands import RequestKind, new_request
    from orchestrator.cli.asking import ask

    request = new_request(RequestKind.STOP, now=given.now)
    ask(place, request, command="stop", wait_seconds=given.wait)
    what = "its running trials are being cancelled" if given.now else "running trials finish"
    print(f"{place.label}: stopping, no new trials; {what} (the head on {host} has taken note)")
    if not given.now:
        print(
            f"`headway follow {place.label}` shows it; `headway stop {place.label} --now` ends them."
        )
    return 0


def _without_head(place: Place, given: argparse.Namespace) -> int:
    """End what a head that is not there any more has left, or say what that is."""
    status, left = _what_is_left(place)
    if given.now and any(left.values()):
        return _cancel(place)
    if status not in _OVER:
        _mark(place)
    word = "has ended already" if status in _OVER else "is stopped: no head is alive"
    print(f"{place.label} {word}{_said(left)}.")
    if any(left.values()):
        print(
            f"`headway stop {place.label} --now` cancels them, `headway resume {place.label}` "
            "looks after them."
        )
    return 0


def _what_is_left(place: Place) -> tuple[ExperimentStatus, Mapping[AttemptState, int]]:
    from db.sql import attempts
    from db.sql.reading import experiments
    from orchestrator.cli.places import open_place
    from orchestrator.errors import UsageError

    with open_place(place) as reader, reader.read() as connection:
        row = experiments.find(connection, place.experiment_id)
        opened = attempts.open_attempts(connection, place.experiment_id)
    if row is None:
        raise UsageError(f"{place.label} is not in its database any more.")
    return row.status, Counter(attempt.state for attempt in opened)


def _said(left: Mapping[AttemptState, int]) -> str:
    running, waiting = left.get(AttemptState.STARTED, 0), left.get(AttemptState.SUBMITTED, 0)
    words = [f"{running} trials may still run"] if running else []
    words += [f"{waiting} jobs may still wait"] if waiting else []
    # The head died between its commit and sbatch's answer.
    unclear = left.get(AttemptState.PLANNED, 0)
    words += [f"{unclear} trials may have been submitted when the head died"] if unclear else []
    return f"; {' and '.join(words)}" if words else ""


@contextlib.contextmanager
def _opened(place: Place) -> Iterator[Run]:
    from orchestrator.app.runs import open_run

    with contextlib.closing(open_run(place.db_url, place.experiment_id)) as found:
        yield found


def _mark(place: Place) -> None:
    """Write down that a person has ended it, so that no head goes on by itself."""
    from orchestrator.app.heads import end_without_head

    with _opened(place) as made:
        end_without_head(made, by=this_person())


def _cancel(place: Place) -> int:
    """Be the head for as long as it takes to cancel what the last one left."""
    from orchestrator.app.generating import idle_generators
    from orchestrator.app.heads import make_cluster, run_head
    from orchestrator.reports.log import HeadLog
    from orchestrator.steps.commands import Stop

    with _opened(place) as made:
        print(f"{place.label}: no head is alive; cancelling what the last one left", flush=True)
        cluster = make_cluster(made.spec, is_new=False)
        log = HeadLog(made.run_dir)
        with contextlib.closing(log), contextlib.closing(idle_generators(made.spec)) as generators:
            stop = Stop(this_person(), now=True)
            run_head(made, cluster, generators, note=log.note, stop=stop)
            _renew_results(place, made, log.note)
    _, left = _what_is_left(place)
    said = _said(left)
    print(f"{place.label}: {'stopped' if not said else 'not all of it has ended yet'}{said}.")
    if said:
        print(f"`headway stop {place.label} --now` asks again.")
    return 1 if said else 0


def _renew_results(place: Place, made: Run, note: Note) -> None:
    from orchestrator.cli.places import open_place
    from orchestrator.reports.documents import ResultsFile

    with open_place(place) as reader:
        results = ResultsFile(made.run_dir, reader=reader, experiment_id=made.stored.id, note=note)
        results.update(force=True)
