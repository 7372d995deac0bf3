"""Runs Slurm's commands: each with a time limit, each counted against the site's patience."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass

# Commands print states and messages in the user's language otherwise, and times in the user's time
# zone, in which an hour of each autumn comes twice: %s is seconds since 1970. Long lists of array
# tasks end in dots if they are not told to have no limit (scontrol(1), SLURM_BITSTR_LEN).
PLAIN_ENVIRONMENT = {"LC_ALL": "C", "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}
# Should this process die first, nobody else would end a command that hangs.
LAST_SECONDS = 5.0

# When a call was turned away, so many a minute at least; and how fast that is forgotten.
LEAST_PER_MINUTE = 2.0
RECOVERY = 1.05

# Shares of the burst that decide how politely calls are made.
PLENTY = 0.75
SCARCE = 0.25
GATHER_SECONDS = 0.3
HOUR_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True)
class CommandResult:
    """What came of one command.

    Attributes:
        code: Its exit code; None if it did not end within its time limit or could not be run.
        output: What it printed to standard output.
        errors: What it printed to standard error, or why it could not be run.
        seconds: How long it took.
    """

    code: int | None
    output: str
    errors: str
    seconds: float

    @property
    def is_ok(self) -> bool:
        """Whether the command ran and said that all is well."""
        return self.code == 0


class CallBudget:
    """A bucket of calls that refills with time (DESIGN section 10: 20 a minute, burst 40).

    It never refuses: a call that must be made is made. It tells how much is left, so that callers
    can wait or put several things into one call. A site may have a bucket of its own that is
    smaller: whenever a call was turned away, calls get rarer, and slowly more frequent again.
    """

    def __init__(self, *, per_minute: float = 20, burst: int = 40) -> None:
        self.per_minute = per_minute
        self.burst = burst
        self._most_per_minute = per_minute
        self.counted: Counter[str] = Counter()
        self._made: deque[float] = deque()
        self._left = float(burst)
        self._at = time.monotonic()
        self._lock = threading.Lock()

    def spend(self, command: str) -> None:
        """Count one call of a command."""
        with self._lock:
            self._refill()
            self._left = max(0.0, self._left - 1)
            self.counted[command] += 1
            self._made.append(self._at)

    def was_turned_away(self) -> None:
        """Take note that a call was refused, perhaps as there were too many."""
        with self._lock:
            self._refill()
            least = min(LEAST_PER_MINUTE, self._most_per_minute)
            self.per_minute, self._left = max(least, self.per_minute / 2), 0.0

    def was_answered(self) -> None:
        """Take note that a call was answered."""
        with self._lock:
            self._refill()
            self.per_minute = min(self._most_per_minute, self.per_minute * RECOVERY)

    def last_hour(self) -> int:
        """Return how many calls were made in the last hour."""
        with self._lock:
            self._refill()
            return len(self._made)

    def left(self) -> float:
        """Return how many calls may be made at once now."""
        with self._lock:
            self._refill()
            return self._left

    def pause_seconds(self) -> float:
        """Return how long two kinds of callers have to wait between their calls.

        Nothing while three quarters of the burst are left, then long enough to put what gets ready
        together into one call; below the last quarter ever more, up to the pace at which two
        callers together spend exactly what flows back.
        """
        share = self.left() / self.burst
        if share > PLENTY:
            return 0.0
        lack = max(0.0, 1 - share / SCARCE)
        return max(GATHER_SECONDS, lack**2 * 2 * 60 / self.per_minute)

    def _refill(self) -> None:
        moment = time.monotonic()
        grown = self._left + (moment - self._at) * self.per_minute / 60
        self._left, self._at = min(float(self.burst), grown), moment
        while self._made and self._made[0] <= moment - HOUR_SECONDS:
            self._made.popleft()


class Commands:
    """Runs commands of one scheduler."""

    def __init__(self, budget: CallBudget, *, cluster: str | None = None) -> None:
        """Describe how commands are run.

        Args:
            budget: Counts them.
            cluster: The one that they are to ask (`-M`); None: that which they ask by themselves.
        """
        self.budget = budget
        self._where = [] if cluster is None else [f"--clusters={cluster}"]

    def run(self, *words: str, limit_seconds: float) -> CommandResult:
        """Run one command to its end or its time limit; never raises for what it does."""
        self.budget.spend(words[0])
        began = time.monotonic()
        limit = f"{limit_seconds + LAST_SECONDS:g}"
        try:
            child = subprocess.Popen(
                [
                    *("timeout", f"--kill-after={LAST_SECONDS:g}", limit),
                    *(words[0], *self._where, *words[1:]),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=os.environ | PLAIN_ENVIRONMENT,
                encoding="utf-8",
                errors="replace",
                # Ctrl-C in the terminal is for the head, not for a scancel that it just began. And
                # what a site's wrapper has started ends together with it.
                start_new_session=True,
            )
        except OSError as error:
            return self._none(f"{words[0]} cannot be run: {error.strerror}", began)
        try:
            output, errors = child.communicate(timeout=limit_seconds)
        except subprocess.TimeoutExpired:
            return self._none(f"{words[0]} did not answer within {limit_seconds:g} s", began)
        finally:
            _end(child)
        return CommandResult(
            code=child.returncode,
            output=output,
            errors=errors,
            seconds=time.monotonic() - began,
        )

    @staticmethod
    def _none(why: str, began: float) -> CommandResult:
        return CommandResult(code=None, output="", errors=why, seconds=time.monotonic() - began)


def _end(child: subprocess.Popen[str]) -> None:
    """End a command with all that it started, and let go of its pipes."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    for stream in (child.stdout, child.stderr):
        if stream is not None:
            stream.close()
