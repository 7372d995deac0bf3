"""One disturbed run: trials, faults among them, and the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from tests.chaos import verdict
from tests.chaos.evidence import HOLD, PROGRAM, Seen
from tests.chaos.faults import Harm, Heal
from tests.chaos.heads import Keeper
from tests.chaos.plan import LONGEST_GAP_SECONDS, Fault, Kind, make_plan
from tests.chaos.site import NAME, Site

SLOTS = 12
# The next fault does not wait longer than this for trials to end.
LONGEST_WAIT_SECONDS = 15.0
# Without the end of any trial for so long, something hangs. An sbatch whose answer was lost takes
# 60 s to be given up.
STALL_SECONDS = 240.0
MOST_BREAKDOWNS = 5
# After a fault, so long may a head that starts find that something does not answer.
TROUBLE_SECONDS = 20.0
TICK_SECONDS = 0.1
TIMING = {
    "lease_renew_seconds": 1,
    "lease_expire_seconds": 5,
    "heartbeat_seconds": 2,
    "dead_seconds": 20,
    "spool_grace_seconds": 8,
    "claim_patience_seconds": 90,
    "report_patience_seconds": 60,
    "grace_seconds": 3,
    "slurm_limit_seconds": 8,
    "sacct_limit_seconds": 5,
    "calls_per_minute": 300,
    "calls_burst": 100,
    "poll_min_seconds": 1,
    "poll_max_seconds": 4,
}
Say = Callable[[str], None]


def command(*, trials: int, faults: int, seed: int) -> tuple[str, ...]:
    """Return the words of the search.

    Its trials are so long that all faults find their place among them.
    """
    seconds = faults * LONGEST_GAP_SECONDS / 2 * SLOTS / trials
    most = max(10, min(100, round(2 * seconds * 10)))
    return (
        *("run", "--experiment_name", NAME, "--max_eval", str(trials), "--seed", str(seed)),
        *("--parameter", "x", "range", "1", "1000", "float", "--model", "SOBOL"),
        *("--num_parallel_jobs", str(SLOTS), "--mem_gb", "0.1", "--partition", "alpha"),
        # Programs are killed again and again, which is no fault of theirs.
        *("--retries", "50"),
        *("--timing", *(f"{name}={value}" for name, value in TIMING.items())),
        *("--run_program", PROGRAM.format(most=most)),
    )


@dataclass
class Run:
    """A search that is disturbed until it has ended."""

    site: Site
    trials: int
    seed: int
    faults: int
    say: Say
    only: Collection[Kind] = tuple(Kind)
    seen: Seen = field(init=False)
    keeper: Keeper = field(init=False)
    done: list[Fault] = field(default_factory=list)
    _heals: list[tuple[float, Heal]] = field(default_factory=list)
    _missed: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        words = command(trials=self.trials, faults=self.faults, seed=self.seed)
        self.seen = Seen(self.site.place.folder)
        self.keeper = Keeper(self.site, words)
        self.harm = Harm(self.site, self.keeper)
        self.kinds = [kind for kind in self.harm.possible() if kind in self.only]
        self.plan = make_plan(self.seed, self.faults, self.kinds)

    def run(self) -> list[str]:
        """Let the search come to its end; what is wrong afterwards."""
        left_out = sorted(set(self.only) - set(self.kinds))
        self.say(f"seed {self.seed}: {self.faults} faults over {self.trials} trials")
        self.say("".join(f"left out here: {kind}\n" for kind in left_out).strip())
        began = time.monotonic()
        try:
            problem = self._disturb()
        finally:
            self._heal(all_of_them=True)
            self._hold(is_ahead=False)
        self.say("")
        self.say(f"faults                {len(self.done)}")
        for line in verdict.figures(self.site, self.keeper, self.seen, began=began):
            self.say(line)
        if problem:
            return [problem, *self.keeper.findings]
        return verdict.findings(self.site, self.keeper, self.seen, trials=self.trials)

    def _disturb(self) -> str:
        """Do harm until the search is over; why it was given up, if it was."""
        waiting = list(self.plan)
        last_fault = last_end = time.monotonic()
        ended = 0
        self.keeper.start()
        while not self.keeper.look():
            self._heal()
            moment = time.monotonic()
            if self.seen.look() > ended:
                ended, last_end = self.seen.look(), moment
            self._hold(is_ahead=bool(waiting) and ended >= self._place(waiting[0]))
            if problem := self._problem(ended, moment - last_end):
                return problem
            waited = moment - last_fault
            is_due = waiting and ended and self._is_due(waiting[0], ended, waited)
            # A fault that finds no victim waits for one.
            if is_due and (self._begin(waiting[0]) or waited >= 2 * LONGEST_WAIT_SECONDS):
                waiting.pop(0)
                last_fault = time.monotonic()
            time.sleep(TICK_SECONDS)
        if waiting:
            return f"the search was over before {len(waiting)} of the faults"
        return ""

    def _problem(self, ended: int, idle: float) -> str:
        """Return why going on is no use; empty if it is."""
        if len(self.keeper.findings) > MOST_BREAKDOWNS:
            return "heads break down again and again"
        if idle > STALL_SECONDS:
            return f"no trial has ended for {STALL_SECONDS:.0f} s; {ended} of {self.trials} have"
        return ""

    def _is_due(self, fault: Fault, ended: int, waited: float) -> bool:
        """Whether it is a fault's turn."""
        is_there = ended >= self._place(fault) or waited >= LONGEST_WAIT_SECONDS
        return is_there and waited >= fault.gap_seconds

    def _place(self, fault: Fault) -> float:
        """After how many trials it is a fault's turn: they are spread evenly over the trials.

        Those that may run at once are kept back, so that the last fault finds some.
        """
        return max(0, self.trials - SLOTS) * fault.number / (self.faults + 1)

    def _hold(self, *, is_ahead: bool) -> None:
        """Let no trial end while the next fault is overdue: the search must not run away from it."""
        hold = self.site.place.folder / HOLD
        if is_ahead:
            hold.touch()
        else:
            hold.unlink(missing_ok=True)

    def _begin(self, fault: Fault) -> bool:
        """Let a fault begin; False if there was nothing to hit."""
        hit, heal = self.harm.do(fault)
        if not hit:
            return False
        self.keeper.trouble_until = time.monotonic() + TROUBLE_SECONDS + fault.hold_seconds
        moment = time.monotonic()
        if heal is not None:
            self._heals.append((moment + fault.hold_seconds, heal))
        self._heals += [(moment + delay, action) for delay, action in self.harm.later]
        self.harm.later.clear()
        self.done.append(fault)
        self.say(f"{fault}: {hit}")
        return True

    def _heal(self, *, all_of_them: bool = False) -> None:
        moment = time.monotonic()
        due = [entry for entry in self._heals if all_of_them or entry[0] <= moment]
        for entry in due:
            self._heals.remove(entry)
            entry[1]()
