"""Which hosts new jobs avoid: suspects and excluded ones, within limits that a bad program meets.

Pure: it is told how attempts ended and answers; who writes it down and tells Slurm is in `steps`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.health.bursts import Bursts
from orchestrator.health.evidence import Counts, Evidence
from orchestrator.health.failures import Blame
from orchestrator.health.posterior import PAROLE_PRIOR, PRIOR, Fleet, probability_defective

# As sure as this, a host is excluded; by failures that are not open any more.
EXCLUDE_AT = 0.97
# A host that has done its work before becomes suspect from here on, others at once.
SUSPECT_AT = 0.03
# At most one of so many hosts is kept out (DESIGN section 5 c).
SHARE = 4
# A host that goes on to lose so many, and may not be kept out because others are, is one too many.
LOST_BY_ONE_TOO_MANY = 3
# A sentence names so many hosts.
NAMED = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is thought of a host.

    Attributes:
        host: Its name.
        probability: How likely it is defective, 0 to 1; 1 where a strong failure says so.
        reason: The same in words, without a full stop.
        counts: How its newest attempts ended.
        fleet: What its failures were compared with.
    """

    host: str
    probability: float
    reason: str
    counts: Counts
    fleet: Fleet

    @property
    def evidence(self) -> dict[str, Any]:
        """What is stored with the decision: the numbers that it rests on."""
        return {
            "probability": round(self.probability, 4),
            "succeeded": self.counts.succeeded,
            "blamed": self.counts.blamed,
            "unexplained": self.counts.unexplained,
            "open": self.counts.open,
            "weak": self.counts.weak,
            "flake_rate": round(self.fleet.flake_rate, 4),
            "bad_rate": round(self.fleet.bad_rate, 4),
            "weak_rate": round(self.fleet.weak_rate, 4),
            "examples": [
                {"trial_id": trial, "succeeded_on": host} for trial, host in self.counts.examples
            ],
        }


class Verdicts:
    """Follows the evidence and says which hosts to avoid.

    `hosts` stands everywhere for the names of the hosts that jobs of this experiment can get: those
    of the partition, without the ones that Slurm calls down and that a person keeps out. Nothing is
    decided about others, and where nobody knows them (empty) about none.
    """

    def __init__(self) -> None:
        self.evidence = Evidence()
        self._strong: dict[str, str] = {}
        self._last_why: dict[str, str] = {}
        # Trials whose failure points to the host by itself.
        self._pointing: dict[str, set[int]] = {}
        # Defective as far as the evidence goes; the cap may leave some of them in.
        self._convicted: dict[str, Verdict] = {}
        self._suspects: dict[str, Verdict] = {}
        self._excluded: set[str] = set()
        self._on_parole: set[str] = set()
        self._bursts = Bursts()
        # How often convicted hosts that had to be left in have failed since.
        self._left_in: dict[str, int] = {}

    def succeeded(self, trial: int, host: str) -> None:
        """Take in a success; a host on parole has passed."""
        self.evidence.succeeded(trial, host)
        self._on_parole.discard(host)
        self._left_in.pop(host, None)
        self._bursts.succeeded(bad_rate=self.evidence.bad_rate)

    def failed(
        self, trial: int, host: str, blame: Blame, *, why: str, points_to_host: bool = False
    ) -> None:
        """Take in a failure; a strong one is enough by itself.

        Args:
            trial: Any number that tells trials apart, also those of different experiments.
            host: Where.
            blame: What the failure says about its host.
            why: The same in words, without a full stop.
            points_to_host: Its log says that the host is at fault: suspect at once, also after
                successes.
        """
        if blame is Blame.NONE:
            return
        self._last_why[host] = why
        if host in self._left_in:
            self._left_in[host] += 1
        if blame is Blame.STRONG:
            self._strong[host] = why
        if points_to_host:
            self._pointing.setdefault(host, set()).add(trial)
        self._bursts.failed(trial, host, blame)
        self.evidence.failed(trial, host, blame)

    def closed(self, trial: int) -> None:
        """Take in that a trial without a success is not tried again."""
        self.evidence.closed(trial)

    def begin_row(self) -> None:
        """Let only what fails from now on count as a burst, as when a head begins.

        A person who goes on has put something right, and what failed for others is not of this
        experiment.
        """
        self._bursts.begin()

    def keep_out(self, host: str) -> None:
        """Take in that a host is excluded already, as another head or a person decided."""
        self._excluded.add(host)
        self._acquit(host)

    def released(self, host: str, *, on_parole: bool = True) -> None:
        """Take in that an exclusion has ended; what ended there until now counts no more.

        Args:
            host: Its name.
            on_parole: The next trial there tells; else it counts as sound, as when a person let it
                in again.
        """
        self._excluded.discard(host)
        self._strong.pop(host, None)
        self._pointing.pop(host, None)
        self._acquit(host)
        if on_parole:
            self._on_parole.add(host)
        else:
            self._on_parole.discard(host)
        self.evidence.forget(host)

    def newly_excluded(self, hosts: Collection[str]) -> list[Verdict]:
        """Return the hosts that the evidence excludes from now on, the surest first."""
        self._judge_changed()
        surest = _surest(self._convicted, hosts)
        new = [verdict.host for verdict in surest if verdict.host not in self._on_parole]
        # Those on parole are kept out already.
        to_exclude = self._on_parole.union(new[: self._room(hosts)])
        found = [verdict for verdict in surest if verdict.host in to_exclude]
        for verdict in found:
            self.keep_out(verdict.host)
        for host in self._convicted.keys() & set(hosts):
            self._left_in.setdefault(host, 0)
        return found

    def suspects(self, hosts: Collection[str]) -> list[Verdict]:
        """Return the hosts that new jobs avoid until another host has told, worst first.

        Those on parole are not among them: jobs avoid them in any case.
        """
        found = _surest(self._suspects | self._convicted, hosts)
        return [each for each in found if each.host not in self._on_parole][: self._room(hosts)]

    def trouble(self, hosts: Collection[str], *, running: int) -> str | None:
        """Return why nothing more is to be submitted: so much fails that hosts are no explanation.

        Args:
            hosts: See above.
            running: How many attempts run now. What fails often ends sooner than what succeeds, so
                that these may all be successes to come.

        Returns:
            A sentence without a full stop; None: all is well enough.
        """
        # Where nobody knows the hosts, one of them may be at fault.
        may_be_out = most(len(hosts)) if hosts else 1
        told = self._bursts.trouble(may_be_out=may_be_out, running=running)
        return told or self._too_many(hosts)

    def excluded(self) -> set[str]:
        """Return the hosts that are excluded, whoever decided it."""
        return set(self._excluded)

    def on_parole(self) -> set[str]:
        """Return the hosts that one trial at a time tries."""
        return set(self._on_parole)

    def verdict(self, host: str) -> Verdict:
        """Return what is thought of a host at this moment, open failures included."""
        fleet = self.evidence.fleet(host)
        counts = self.evidence.counts(host)
        if host in self._strong:
            return Verdict(host, 1.0, self._strong[host], counts, fleet)
        prior = PAROLE_PRIOR if host in self._on_parole else PRIOR
        marks = self.evidence.marks(host, with_open=True)
        probability = probability_defective(marks, fleet, prior=prior)
        return Verdict(host, probability, _reason(counts, self._last_why.get(host)), counts, fleet)

    def _room(self, hosts: Collection[str]) -> int:
        return max(0, most(len(hosts)) - len(self._kept_out(hosts)))

    def _kept_out(self, hosts: Collection[str]) -> set[str]:
        return (self._excluded | self._on_parole).intersection(hosts)

    def _judge_changed(self) -> None:
        for host in self.evidence.changed | self._strong.keys() | self._convicted.keys():
            self._judge(host)
        self.evidence.changed.clear()

    def _acquit(self, host: str) -> None:
        self._convicted.pop(host, None)
        self._suspects.pop(host, None)
        self._left_in.pop(host, None)

    def _judge(self, host: str) -> None:
        if host in self._excluded:
            return
        found = self.verdict(host)
        if host in self._strong or self._settled_probability(host) >= EXCLUDE_AT:
            self._suspects.pop(host, None)
            self._convicted[host] = found
            return
        self._acquit(host)
        if found.counts.open and self._is_suspect(found):
            self._suspects[host] = found

    def _settled_probability(self, host: str) -> float:
        """How likely a host is defective by what other hosts have told, or never will tell."""
        prior = PAROLE_PRIOR if host in self._on_parole else PRIOR
        marks = self.evidence.marks(host, with_open=False)
        return probability_defective(marks, self.evidence.fleet(host), prior=prior)

    def _is_suspect(self, found: Verdict) -> bool:
        if found.probability >= SUSPECT_AT or not found.counts.succeeded:
            return True
        pointing = self._pointing.get(found.host, set())
        return not pointing.isdisjoint(self.evidence.open_trials(found.host))

    def _too_many(self, hosts: Collection[str]) -> str | None:
        left_in = [
            verdict.host
            for verdict in _surest(self._convicted, hosts)
            if self._left_in.get(verdict.host, 0) >= LOST_BY_ONE_TOO_MANY
        ]
        if self._room(hosts) or not left_in:
            return None
        return (
            f"{_listed(left_in)} lost trial after trial, and of {len(hosts)} hosts no more may be "
            f"kept out than {_listed(sorted(self._kept_out(hosts)))} "
            f"(if it is only these: headway hosts exclude {' '.join(left_in[:NAMED])})"
        )


def most(hosts: int) -> int:
    """Return how many of a partition's hosts may be kept out: a quarter, never the last one."""
    return max(0, min(max(1, hosts // SHARE), hosts - 1))


def _surest(verdicts: dict[str, Verdict], hosts: Collection[str]) -> list[Verdict]:
    """Return the verdicts about these hosts, the surest first, always in the same order."""
    found = [verdict for host, verdict in verdicts.items() if host in hosts]
    return sorted(found, key=lambda verdict: (-verdict.probability, verdict.host))


def _listed(hosts: Sequence[str]) -> str:
    """Name some hosts, and count the others."""
    others = len(hosts) - NAMED
    return ", ".join(hosts[:NAMED]) + (f" and {others} more" if others > 0 else "")


def _reason(counts: Counts, last: str | None) -> str:
    """Tell in words what speaks for and against a host."""
    told = [
        f"{number} {what}"
        for number, what in (
            (counts.blamed, "failed here and succeeded on another host"),
            (counts.unexplained, "failed here and ran nowhere else"),
            (counts.open, "failed here and had not been tried elsewhere yet"),
            (counts.succeeded, "succeeded here"),
        )
        if number
    ]
    newest = f"; the last failure: {last}" if last else ""
    return f"of its newest trials {', '.join(told) or 'none tells anything'}{newest}"
