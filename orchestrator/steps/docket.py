"""What one tick decides: written in one transaction, followed in the ledger once it is committed.

Shared by all parts of `settle`. Whoever decides something writes it through the transaction and
hands an effect to `then`; the effects happen in their order after the commit. If the head dies
before it, nothing was decided; if it dies after it, the next head reads the same from the database.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from db.sql import events
from db.sql.incoming import Incoming
from db.sql.store import Store, Transaction
from db.states import EventKind
from orchestrator.generators.base import Observation
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.steps.hosts import Hosts
from orchestrator.steps.ledger import Ledger, OpenAttempt, OpenTrial
from orchestrator.steps.mailbox import Mailbox
from orchestrator.steps.notes import Note

Effect = Callable[[], None]


class Docket:
    """The decisions of one tick.

    Attributes:
        store: The database, fenced by the lease of this head.
        ledger: What the head keeps in mind; changed by effects only.
        spec: What was asked for.
        cancel: Ends jobs in the scheduler.
        hosts: Takes how attempts ended, and knows which hosts to avoid.
        note: Takes what happens, for the log and the terminal.
        is_miscounted: A trial changed that the ledger had already closed: its counts have to be
            read anew.
    """

    def __init__(
        self,
        *,
        store: Store,
        ledger: Ledger,
        spec: ExperimentSpec,
        mailbox: Mailbox,
        cancel: Callable[[list[str]], None],
        hosts: Hosts,
        note: Note,
    ) -> None:
        self.store = store
        self.ledger = ledger
        self.spec = spec
        self.cancel = cancel
        self.hosts = hosts
        self.note = note
        self.is_miscounted = False
        self._mailbox = mailbox
        self._effects: list[Effect] = []

    def begin(self) -> None:
        """Forget what a transaction that failed had decided."""
        self._effects = []

    def then(self, effect: Effect) -> None:
        """Do something as soon as the transaction is committed."""
        self._effects.append(effect)

    def follow(self) -> None:
        """Do what the decisions of the committed transaction entail."""
        effects, self._effects = self._effects, []
        for effect in effects:
            effect()

    def log(
        self,
        connection: Transaction,
        kind: EventKind,
        about: Incoming | OpenTrial,
        attempt_id: int,
        payload: dict[str, Any],
    ) -> None:
        """Write down what was decided about an attempt, with the decision."""
        if isinstance(about, OpenTrial):
            key, index = about.id, about.index
        else:
            key, index = about.trial_id, about.trial_index
        full = {"trial_index": index, "attempt": attempt_id, **payload}
        row = events.row(self.store.experiment_id, kind, full, trial_id=key)
        events.append(connection, [row])

    def log_of(self, attempt: OpenAttempt) -> Path | None:
        """Return where the log of an attempt is, if its path is known."""
        return self._mailbox.run_dir / attempt.log_path if attempt.log_path else None

    def take_back(self, attempt_id: int) -> bool:
        """See to it that no worker takes an attempt from the spool any more; may be done again.

        False: one has it, or nothing is known.
        """
        attempt = self.ledger.attempts.get(attempt_id)
        return attempt is None or self._mailbox.withdraw(attempt)

    def drop(self, attempt_id: int) -> None:
        """Forget an attempt that has ended, and remove what is left of it in the spool."""
        attempt = self.ledger.attempts.pop(attempt_id, None)
        if attempt is None:
            return
        self._mailbox.clear(attempt)
        submission = self.ledger.submissions.get(attempt.submission_id)
        if submission and attempt_id in submission.attempt_ids and not submission.is_in_flight:
            # Without any left it stays until `submit` has stored what became of it.
            submission.attempt_ids.remove(attempt_id)

    def tell(
        self,
        index: int,
        point: dict[str, Any],
        means: dict[str, float] | None,
        sems: dict[str, float],
    ) -> None:
        """Let the generators hear of a trial's end; `means` is None if it failed."""
        told = Observation(trial=index, point=point, means=means, sems=sems)
        self.ledger.news.append(told)
