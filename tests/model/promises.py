"""What has to hold after each step, and when everything has come to its end."""

from __future__ import annotations

import shutil
import sys
from collections import Counter

from hypothesis.stateful import invariant

from db.sql import checks
from db.sql.checks import attempts, outcomes, trials
from db.sql.checks.base import clock, find
from tests.model.surroundings import TRIALS, Surroundings

# So many rounds of everything going well bring every trial to its end.
LONGEST_REST = 80
# The others cost more time than they say anything of; all of them are looked at in the end.
CHECKS = [
    check for check in (*trials.CHECKS, *attempts.CHECKS, *outcomes.CHECKS) if not check.is_warning
]


class Promises(Surroundings):
    """Holds the head to the truth."""

    @invariant()
    def no_trial_runs_twice_at_the_same_time(self) -> None:
        """Unless the scheduler called one of them dead."""
        honest = Counter(life.trial for life in self.truth.running() if not life.is_zombie)
        assert all(count == 1 for count in honest.values()), honest

    @invariant()
    def outcomes_are_what_a_program_gave_and_stay(self) -> None:
        """At most one a trial, with the values of one program."""
        first, second = self.world.names
        for index, values in self.world.outcomes().items():
            value = values[first]
            assert values == {first: value, second: -value}
            assert value in self.truth.delivered.get(index, set())
            assert self.truth.accepted.setdefault(index, value) == value, "an outcome changed"

    @invariant()
    def database_fits_together(self) -> None:
        """What `headway db check` looks for in attempts, trials and outcomes is not there."""
        version = self._watching.execute("PRAGMA data_version").fetchone()[0]
        if version == self._checked:
            return
        self._checked = version
        key = self.world.experiment_id
        with self.world.store.read() as connection:
            names, times = checks.labels(connection), clock(connection)
            for check in CHECKS:
                found = find(connection, check, experiment_id=key, names=names, times=times)
                assert not list(found)

    def teardown(self) -> None:
        """Let everything come to its end: nothing is lost, nothing is open."""
        try:
            # What was found on the way must not be hidden behind what comes of it.
            if sys.exc_info()[0] is None:
                self._come_to_rest()
                self._assert_nothing_was_lost()
        finally:
            self._watching.close()
            self.world.close()
            self._patch.undo()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _come_to_rest(self) -> None:
        world = self.world
        world.cluster.is_silent = False
        world.cluster.answers.clear()
        self._take_over()
        for life in self.truth.running():
            self._succeed(life, {}, is_late=False)
        while self.truth.late:
            self._deliver(*self.truth.late.pop())
        for _ in range(LONGEST_REST):
            while self._pending():
                self._begin(*self._pending()[0])
            self.no_trial_runs_twice_at_the_same_time()
            for life in self.truth.running():
                self._succeed(life, {}, is_late=False)
            self._look(1)
            if not world.ledger.trials and world.ledger.created >= TRIALS:
                return
        raise AssertionError(f"never at rest: {world.statuses()} {world.states()}")

    def _assert_nothing_was_lost(self) -> None:
        world = self.world
        statuses = world.statuses()
        assert set(statuses) <= {"COMPLETED", "FAILED", "ABANDONED"}
        for index in self.truth.delivered:
            assert statuses[index] == "COMPLETED", f"the result of trial {index} was lost"
        assert not set(world.states()) & {"PLANNED", "SUBMITTED", "STARTED"}
        assert all(row["consumed_at"] for row in world.rows("report"))
        self.outcomes_are_what_a_program_gave_and_stay()
        with world.store.read() as connection:
            found = list(checks.find_all(connection, world.experiment_id))
        assert not [finding for finding in found if not finding.is_warning]
