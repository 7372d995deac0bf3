"""Makes things go wrong, and right again."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tests.chaos.heads import Keeper
from tests.chaos.plan import Fault, Kind
from tests.chaos.site import Site
from tests.cluster.daemons import Daemon

T = TypeVar("T")
Heal = Callable[[], object]
_PROCESSES = {
    Kind.KILL_WORKER: (signal.SIGKILL, True, False),
    Kind.KILL_PROGRAM: (signal.SIGKILL, False, True),
    Kind.KILL_BOTH: (signal.SIGKILL, True, True),
    Kind.FREEZE_WORKER: (signal.SIGSTOP, True, False),
}
# What a stand-in does; a hanging one ends by itself soon after the head has lost its patience, since
# nobody ends it if the head is killed meanwhile.
_HANG = ("exec sleep 20",)
_FAIL = ('echo "slurm_load_jobs error: Unable to contact slurm controller" >&2', "exit 1")
_STALE = (
    'kept=$(dirname "$0")/.kept; now=$(dirname "$0")/.now.$$',
    '"$REAL" "$@" > "$now" || exit 1',
    '[ -e "$kept" ] && cat "$kept" || cat "$now"',
    'mv "$now" "$kept"',
)
# Rows of yesterday's jobs, in the format that was asked for: wrong names, wrong times.
_OTHERS = (
    '"$REAL" "$@" | awk -F"|" -v OFS="|" \\',
    '\'{ for (i = 2; i <= NF; i++) if ($i ~ /^hw-/) $i = "yesterday"; $2 = "FAILED"; print }\'',
)
_COMMANDS: dict[Kind, tuple[str, tuple[str, ...]]] = {
    Kind.SQUEUE_HANGS: ("squeue", _HANG),
    Kind.SQUEUE_FAILS: ("squeue", _FAIL),
    Kind.SQUEUE_EMPTY: ("squeue", ("exit 0",)),
    Kind.SQUEUE_STALE: ("squeue", _STALE),
    Kind.SACCT_HANGS: ("sacct", _HANG),
    Kind.SACCT_FAILS: ("sacct", _FAIL),
    Kind.SACCT_EMPTY: ("sacct", ("exit 0",)),
    Kind.SACCT_OTHERS: ("sacct", _OTHERS),
    Kind.SBATCH_LATE: (
        "sbatch",
        (
            '"$REAL" "$@" > /dev/null 2>&1',
            'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv" >&2',
            "exit 1",
        ),
    ),
    Kind.SBATCH_CUT: ("sbatch", ('"$REAL" "$@" > /dev/null 2>&1', "kill -9 $$")),
    Kind.SBATCH_REFUSES: (
        "sbatch",
        ('echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2', "exit 1"),
    ),
}


@dataclass
class Harm:
    """Does harm to a site.

    Attributes:
        site: The site.
        keeper: Who keeps its head.
        later: What else is to be done so many seconds after the last fault began.
    """

    site: Site
    keeper: Keeper
    later: list[tuple[float, Heal]] = field(default_factory=list)
    _stand_ins: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    _fillers: int = 0
    _down: dict[str, int] = field(default_factory=dict)

    def possible(self) -> list[Kind]:
        """Return what can go wrong here."""
        left_out = set()
        if self.site.postgres is None:
            left_out.add(Kind.DATABASE)
        if self.site.disk is None:
            left_out.add(Kind.DISK_FULL)
        return [kind for kind in Kind if kind not in left_out]

    def do(self, fault: Fault) -> tuple[str, Heal | None]:
        """Let a fault begin.

        Returns:
            What was hit (empty: there was nothing to hit), and what ends it, if it lasts.
        """
        if fault.kind in _COMMANDS:
            return self._replace(*_COMMANDS[fault.kind])
        if fault.kind in _PROCESSES:
            return self._hit(fault)
        others = {
            Kind.KILL_HEAD: self._kill_head,
            Kind.FREEZE_HEAD: self._freeze_head,
            Kind.RIVAL_HEAD: self._rival_head,
            Kind.SLURMD: self._stop_slurmd,
            Kind.NODE: self._lose_node,
            Kind.FREEZE_SLURMD: self._freeze_slurmd,
            Kind.SLURMCTLD: self._stop_controller,
            Kind.FREEZE_SLURMCTLD: self._freeze_controller,
            Kind.DATABASE: self._stop_database,
            Kind.DISK_FULL: self._fill_disk,
        }
        return others[fault.kind](fault)

    # Processes

    def _hit(self, fault: Fault) -> tuple[str, Heal | None]:
        number, worker_too, program_too = _PROCESSES[fault.kind]
        programs = sorted(self.site.programs(), key=lambda process: process.pid)
        if not programs:
            return "", None
        program = _choose(programs, fault.draw)
        workers = [p for p in self.site.workers() if p.pid == program.parent]
        victims = [*(workers if worker_too else ()), *([program] if program_too else ())]
        trial = program.environment().get("HEADWAY_TRIAL")
        hit = [victim for victim in victims if victim.send(number)]
        text = f"trial {trial}, process {', '.join(str(p.pid) for p in hit)}" if hit else ""
        if number != signal.SIGSTOP or not hit:
            return text, None
        return text, lambda: [victim.send(signal.SIGCONT) for victim in hit]

    def _kill_head(self, fault: Fault) -> tuple[str, Heal | None]:
        if not self.keeper.running:
            return "", None
        head = _choose(self.keeper.running, fault.draw)
        self.keeper.kill(head)
        return head.log.stem, None

    def _freeze_head(self, fault: Fault) -> tuple[str, Heal | None]:
        if not self.keeper.running:
            return "", None
        head = _choose(self.keeper.running, fault.draw)
        head.send(signal.SIGSTOP)
        return head.log.stem, lambda: head.send(signal.SIGCONT)

    def _rival_head(self, fault: Fault) -> tuple[str, Heal | None]:
        """Freeze a head; another one comes before or after its lease has expired, then it wakes."""
        hit, heal = self._freeze_head(fault)
        if hit:
            self.later.append((fault.hold_seconds / 2, self.keeper.challenge))
        return hit, heal

    # Services; one that is down already is not stopped again, and stays so until the last heal

    def _while_down(self, name: str, stop: Heal, start: Heal) -> tuple[str, Heal | None]:
        self._down[name] = self._down.get(name, 0) + 1
        if self._down[name] == 1:
            stop()

        def heal() -> None:
            self._down[name] -= 1
            if self._down[name] == 0:
                start()

        return name, heal

    def _node(self, fault: Fault) -> str:
        return _choose(self.site.slurm.settings.node_names, fault.draw)

    def _stop_slurmd(self, fault: Fault) -> tuple[str, Heal | None]:
        slurm, node = self.site.slurm, self._node(fault)
        daemon = slurm.daemon(f"slurmd-{node}")
        return self._while_down(node, lambda: _stop(daemon), self._starter(node))

    def _lose_node(self, fault: Fault) -> tuple[str, Heal | None]:
        slurm, node = self.site.slurm, self._node(fault)
        return self._while_down(node, lambda: slurm.stop_node(node), self._starter(node))

    def _starter(self, node: str) -> Heal:
        return lambda: self.site.slurm.start_node(node)

    def _freeze_slurmd(self, fault: Fault) -> tuple[str, Heal | None]:
        node = self._node(fault)
        daemon = self.site.slurm.daemon(f"slurmd-{node}")
        return (node if daemon.send(signal.SIGSTOP) else ""), lambda: daemon.send(signal.SIGCONT)

    def _stop_controller(self, fault: Fault) -> tuple[str, Heal | None]:
        slurm = self.site.slurm
        daemon = slurm.daemon("slurmctld")
        return self._while_down("slurmctld", lambda: _stop(daemon), slurm.start_controller)

    def _freeze_controller(self, fault: Fault) -> tuple[str, Heal | None]:
        daemon = self.site.slurm.daemon("slurmctld")
        is_there = daemon.send(signal.SIGSTOP)
        return "slurmctld" if is_there else "", lambda: daemon.send(signal.SIGCONT)

    def _stop_database(self, fault: Fault) -> tuple[str, Heal | None]:
        server = self.site.postgres
        assert server is not None
        return self._while_down(
            "PostgreSQL", lambda: server.stop_server("immediate"), server.start_server
        )

    # Slurm's commands; of several stand-ins for one, the newest counts

    def _replace(self, command: str, lines: tuple[str, ...]) -> tuple[str, Heal | None]:
        stack = self._stand_ins.setdefault(command, [])
        stack.append(lines)
        self.site.wrappers.put(command, *lines)

        def heal() -> None:
            stack.remove(lines)
            if stack:
                self.site.wrappers.put(command, *stack[-1])
            else:
                self.site.wrappers.remove(command)

        return command, heal

    # The disk

    def _fill_disk(self, fault: Fault) -> tuple[str, Heal | None]:
        assert self.site.disk is not None
        self._fillers += 1
        path = self.site.disk / f".filler-{self._fillers}"
        block = bytes(2**20)
        with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
            while block:
                try:
                    file.write(block)
                except OSError:
                    block = block[: len(block) // 2]
        return f"{path.stat().st_size / 2**20:.0f} MB were free", path.unlink


def _stop(daemon: Daemon) -> None:
    """Let a daemon end and keep its state, also one that is frozen."""
    daemon.send(signal.SIGCONT)
    daemon.stop()


def _choose(found: Sequence[T], draw: float) -> T:
    return found[min(int(draw * len(found)), len(found) - 1)]
