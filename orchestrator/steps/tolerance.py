"""How much failure a search bears before it stops by itself.

Three things end it: more failed trials than `--max_failed_jobs`, a greater share of them than
`--max_failure_rate`, and failures everywhere at once, of which `hosts` knows. A person who goes on
all the same has put something right or wants to see more: only what ends after that counts then.
"""

from __future__ import annotations

import re
from collections import Counter

from db.sql import failures
from db.sql.store import Store
from db.states import TrialStatus
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.ledger import Ledger

# The word of the loop for such an end, as events keep it.
FAILURES = "FAILURES"
# Among fewer trials a share says nothing.
LEAST_ENDED = 10
# More ways of failing than this are not told apart.
_MOST_MESSAGES = 1000
# A trial that was cancelled says nothing about the others.
_ENDED = (TrialStatus.COMPLETED, TrialStatus.FAILED, TrialStatus.EARLY_STOPPED)
# An exit code is no measurement.
_NUMBER = re.compile(r"(?<!exit code )(?<![\d.])\d+(?:\.\d+)?")


class Tolerance:
    """Watches the failures of one search."""

    def __init__(self, *, store: Store, ledger: Ledger, spec: ExperimentSpec, hosts: Hosts) -> None:
        self._store = store
        self._ledger = ledger
        self._spec = spec
        self._hosts = hosts
        self._forgiven: Counter[TrialStatus] | None = None

    def complaint(self) -> str | None:
        """Return why the search must not go on, in words; None if it may.

        Raises:
            DatabaseUnavailable: The database was asked for the reasons, and is away.
        """
        why = self._hosts.trouble or self._too_many()
        return None if why is None else f"{why}{self._most_frequent()}"

    def _too_many(self) -> str | None:
        why = self._over(self._forgiven or Counter())
        if why is not None and self._forgiven is None:
            # Asked only now: an event of long ago takes a while to find.
            self._forgiven = self._ended_before()
            why = self._over(self._forgiven)
        return why

    def _over(self, forgiven: Counter[TrialStatus]) -> str | None:
        """Return which limit is passed by the trials that ended, but for the forgiven ones."""
        counts = {status: self._ledger.counts[status] - forgiven[status] for status in _ENDED}
        failed, ended = counts[TrialStatus.FAILED], sum(counts.values())
        most, rate = self._spec.max_failed_jobs, self._spec.max_failure_rate
        since = " since it went on" if forgiven else ""
        if most is not None and failed > most:
            what = "1 trial" if failed == 1 else f"{failed} trials"
            return f"{what} failed{since}, and --max_failed_jobs allows {most}"
        if rate is not None and ended >= LEAST_ENDED and failed > rate * ended:
            return (
                f"{failed} of {ended} trials failed{since}, and --max_failure_rate allows "
                f"{100 * rate:g} %"
            )
        return None

    def _ended_before(self) -> Counter[TrialStatus]:
        """Return what had ended when an earlier head stopped for its failures."""
        key = self._store.experiment_id
        with self._store.read() as connection:
            moment = failures.last_stop(connection, key, FAILURES)
            if moment is None:
                return Counter()
            return Counter(failures.ended_until(connection, key, moment))

    def _most_frequent(self) -> str:
        with self._store.read() as connection:
            found = failures.messages(connection, self._store.experiment_id, limit=_MOST_MESSAGES)
        # What differs in a number only (seconds, GiB, a process) is the same complaint.
        times: Counter[str] = Counter()
        examples: dict[str, str] = {}
        for message, count in found:
            kind = _NUMBER.sub("0", message)
            times[kind] += count
            examples.setdefault(kind, message)
        if not times:
            return ""
        (kind, count), *_ = times.most_common(1)
        return f"; most often ({count} of {times.total()} attempts that failed): {examples[kind]}"
