"""Keeps a head at work: whenever the last one has ended before its time, the next one resumes."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.site import NAME, Site
from tests.main_job.runs import HEADWAY, clean_environment

# A user, or the script around the command, needs a moment to start it again.
PAUSE_SECONDS = 0.5
ANOTHER_HEAD = 5
# What `resume` prints when it has found everything that it needs.
GOES_ON = "going on"
BROKEN = re.compile(r"this should not happen: (.*); details (?:are in |could not be )(\S+)")


@dataclass
class Head:
    """One head, and what became of it."""

    process: subprocess.Popen[bytes]
    log: Path
    since: float
    is_killed: bool = False
    is_challenged: bool = False
    code: int | None = None

    def output(self) -> str:
        """Return all it printed."""
        return self.log.read_text(errors="replace")

    def send(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)


@dataclass
class Keeper:
    """Starts heads and watches them.

    Attributes:
        site: Where they run.
        words: The command of the first one.
        running: Heads that run; two for a moment when one challenges another.
        ended: All others, in the order of their ends.
        trouble_until: Until when (monotonic) a head may find that something does not answer.
    """

    site: Site
    words: tuple[str, ...]
    running: list[Head] = field(default_factory=list)
    ended: list[Head] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    trouble_until: float = 0.0
    _start_at: float = 0.0

    def start(self) -> None:
        """Start the first head, or one more."""
        number = len(self.running) + len(self.ended) + 1
        words = ("resume", NAME) if number > 1 else self.words
        database = () if self.site.url is None else ("--db_url", self.site.url)
        log = self.site.place.folder / f"head-{number}.txt"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*HEADWAY, *words, *database],
                cwd=self.site.place.folder,
                env=clean_environment() | dict(self.site.place.environment),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.running.append(Head(process, log, time.monotonic()))

    def challenge(self) -> None:
        """Start a second head beside one that lives."""
        for head in self.running:
            head.is_challenged = True
        self.start()

    def look(self) -> bool:
        """See who has ended, and start the next head if none is left; whether all is done."""
        for head in list(self.running):
            head.code = head.process.poll()
            if head.code is not None:
                self.running.remove(head)
                self.ended.append(head)
                self._judge(head)
                self._start_at = time.monotonic() + PAUSE_SECONDS
        if any(head.code == 0 for head in self.ended):
            return not self.running
        if not self.running and time.monotonic() >= self._start_at:
            self.start()
        return False

    def _judge(self, head: Head) -> None:
        """Note an end that nothing explains."""
        text = head.output()
        if broken := BROKEN.search(text):
            kept = Path(broken[2])
            trace = kept.read_text(errors="replace")[-3000:] if kept.exists() else ""
            self.findings.append(f"{head.log.name}: {broken[1]}\n{trace}")
            return
        excused = (
            head.is_killed
            or head.code in {0, ANOTHER_HEAD}
            or (head.is_challenged and head.code == 1)
            # At its start it may find that something does not answer, and says so.
            or (head.code in {1, 2} and GOES_ON not in text and head.since <= self.trouble_until)
        )
        if not excused:
            self.findings.append(f"{head.log.name}: exit code {head.code}: {text.strip()[-400:]}")

    def kill(self, head: Head) -> None:
        """End a head as nothing else can."""
        head.is_killed = True
        head.send(signal.SIGKILL)
        head.process.wait()

    def errors(self) -> list[str]:
        """Return the last line of each head that ended by itself before its time."""
        lines = []
        for head in self.ended:
            if head.code and not head.is_killed:
                last = head.output().strip().splitlines()[-1:]
                lines.append(f"{head.log.name}: exit code {head.code}: {''.join(last)}")
        return [re.sub(r"://[^@\s]*@", "://…@", line) for line in lines]
