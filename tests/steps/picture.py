"""What a ledger says, as plain values that can be compared."""

from __future__ import annotations

from typing import Any

from orchestrator.steps.ledger import Ledger


def picture(ledger: Ledger) -> dict[str, Any]:
    """What a ledger holds that the database knows too, for comparison."""
    return {
        "trials": {
            key: (t.index, t.point, t.status.name, t.attempts, t.failures)
            for key, t in ledger.trials.items()
        },
        "attempts": {
            key: (a.trial_id, a.token, str(a.state), a.submission_id, a.job_name, a.job_id, a.claim)
            for key, a in ledger.attempts.items()
        },
        "submissions": {
            key: (s.token, str(s.state), sorted(k for k in s.attempt_ids if k in ledger.attempts))
            for key, s in ledger.submissions.items()
            if any(k in ledger.attempts for k in s.attempt_ids)
        },
        "waiting": sorted(ledger.waiting),
        "counts": {status.name: count for status, count in ledger.counts.items() if count},
        "proposed": ledger.proposed,
        "next_index": ledger.next_index,
        "states": ledger.generator_states,
    }
