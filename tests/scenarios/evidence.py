"""What a scenario left behind: in the database, in the queue, and in what the programs wrote."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from db.sql.engine import make_engine
from tests.cluster.slurm import PrivateSlurm
from tests.main_job.runs import Place, lines_of

# Says that it runs and where, before it does anything; one short line is one write.
SEEN = 'echo "$HEADWAY_TRIAL $HEADWAY_ATTEMPT %(x)" >> seen'


@dataclass(frozen=True)
class Evidence:
    """One search of `place`, kept by the database `url` (None: the SQLite file of its run)."""

    place: Place
    name: str
    url: str | None = None

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        path = self.place.folder / "runs" / self.name / "1" / "database.db"
        engine = make_engine(self.url or f"sqlite:///{path}")
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(sa.text(query))]
        finally:
            engine.dispose()

    def statuses(self) -> Counter[str]:
        """Return how many trials have each status, by its name in results.csv."""
        return Counter(row["status"] for row in self.place.results(self.name))

    def attempts(self) -> list[tuple[int, int, str, str | None]]:
        """Return trial index, number, state and failure class of each attempt, in order."""
        query = (
            'SELECT trial."index", attempt.number, attempt.state, attempt.failure_class '
            "FROM attempt JOIN trial ON trial.id = attempt.trial_id ORDER BY 1, 2"
        )
        return [(row[0], row[1], row[2], row[3]) for row in self.rows(query)]

    def events(self, kind: str) -> list[Any]:
        """Return the payloads of all events of a kind, oldest first."""
        return self.payloads(f"SELECT payload FROM event WHERE kind = '{kind}' ORDER BY id")

    def payloads(self, query: str) -> list[Any]:
        """Return what a query finds in a column of JSON, which some databases give as text."""
        found = (row[0] for row in self.rows(query))
        return [json.loads(text) if isinstance(text, str) else text for text in found]

    def starts(self) -> Counter[str]:
        """Return how often the program of each trial was started, by its index."""
        return Counter(line.split()[0] for line in lines_of(self.place.folder / "seen"))

    def assert_exactly(self, trials: int) -> None:
        """Exactly so many trials, each with the one result of the parameters on record."""
        rows = self.place.results(self.name)
        assert [row["status"] for row in rows] == ["COMPLETED"] * trials
        assert all(float(row["x"]) == float(row["RESULT"]) for row in rows)
        count = self.rows("SELECT count(*), count(DISTINCT trial_id) FROM outcome")
        assert count == [(trials, trials)]
        words = () if self.url is None else ("--db_url", self.url)
        self.place.run("db", "check", *words)

    def assert_each_once(self, trials: int) -> None:
        """Also: no program was started twice."""
        self.assert_exactly(trials)
        assert self.starts() == Counter({str(index): 1 for index in range(trials)})


def jobs_left(cluster: PrivateSlurm, name: str) -> list[str]:
    """Return the jobs of a search that Slurm still has."""
    done = cluster.run("squeue", "--noheader", "--format=%j %i %T")
    return [line for line in done.stdout.splitlines() if line.startswith(f"hw-{name}-")]
