"""What the programs of a run wrote down themselves: when each began and ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

SEEN = "seen"
# While this file is there, no program comes to its end.
HOLD = "hold"
# One short line is one write. A program says that it runs before it does anything.
PROGRAM = (
    'say() {{ echo "$1 $HEADWAY_TRIAL $HEADWAY_ATTEMPT $$ $EPOCHREALTIME" >> seen; }}; say begin; '
    "sleep $(( RANDOM % {most} / 10 )).$(( RANDOM % 10 )); "
    f"while [ -e {HOLD} ]; do sleep 0.1; done; "
    "say end; echo RESULT: %(x)"
)


@dataclass
class Seen:
    """Reads the file that all programs write to.

    Attributes:
        begun: How often the program of each attempt was started, by trial and number.
        finished: Trials of which a program came to its end.
        overlaps: Trials of which two programs ran at the same time.
    """

    folder: Path
    begun: Counter[tuple[int, int]] = field(default_factory=Counter)
    finished: set[int] = field(default_factory=set)
    overlaps: set[int] = field(default_factory=set)
    _read: int = 0
    _runs: dict[int, set[str]] = field(default_factory=dict)

    def look(self) -> int:
        """Read what is new; how many trials have come to an end."""
        path = self.folder / SEEN
        if path.exists():
            with path.open("rb") as file:
                file.seek(self._read)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read += len(whole)
            for line in whole.decode().splitlines():
                self._take(line)
        return len(self.finished)

    def _take(self, line: str) -> None:
        what, trial_text, attempt, pid, _ = line.split()
        trial = int(trial_text)
        running = self._runs.setdefault(trial, set())
        # One that was killed never said that it ended.
        running -= {each for each in running if not Path(f"/proc/{each}").exists()}
        if what == "begin":
            self.begun[trial, int(attempt)] += 1
            running.add(pid)
            if len(running) > 1:
                self.overlaps.add(trial)
        else:
            running.discard(pid)
            self.finished.add(trial)
