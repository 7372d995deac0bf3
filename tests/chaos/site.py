"""The cluster that is to suffer: a private Slurm, a database, a small disk, a login node."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.daemons import wait_until
from tests.cluster.postgres import PrivatePostgres
from tests.cluster.processes import Process, all_processes
from tests.cluster.slurm import PrivateSlurm, SlurmSettings
from tests.main_job.runs import Place
from tests.scenarios.wrappers import Wrappers

NAME = "chaos"
# In the environment of all that a head starts, and of what that starts: also on the nodes.
MARK = "CHAOS_RUN"
SETTINGS = SlurmSettings(
    nodes=4,
    # A lost node is DOWN after about 11 s.
    extra_lines=("SlurmdTimeout=5", "MessageTimeout=3"),
)
# All of a thousand trials with their logs, and an SQLite file, take about a third of it.
DISK_MB = 96


@dataclass(frozen=True, kw_only=True)
class Site:
    """Everything that a run needs.

    Attributes:
        slurm: The cluster.
        postgres: The server; None: the run keeps an SQLite file, and its workers use the spool.
        url: The database; None as above.
        place: Where the user types; its folder `runs` is the small disk.
        wrappers: Stand-ins for Slurm's commands.
        disk: The small disk; None where nothing can be mounted.
        mark: What tells the processes of this run from all others.
    """

    slurm: PrivateSlurm
    postgres: PrivatePostgres | None
    url: str | None
    place: Place
    wrappers: Wrappers
    disk: Path | None
    mark: str

    @property
    def run_dir(self) -> Path:
        """The run folder."""
        return self.place.folder / "runs" / NAME / "1"

    def processes(self) -> list[Process]:
        """Return all processes that come from this run: heads, generators, workers, programs."""
        return [p for p in all_processes() if p.environment().get(MARK) == self.mark]

    def workers(self) -> list[Process]:
        """Return the workers."""
        return [p for p in self.processes() if is_worker(p)]

    def programs(self) -> list[Process]:
        """Return the programs that workers run, the shells above all that they start."""
        workers = {worker.pid for worker in self.workers()}
        children = [p for p in self.processes() if p.parent in workers]
        return [p for p in children if "HEADWAY_TRIAL" in p.environment()]


def is_worker(process: Process) -> bool:
    """Whether a process runs the worker's entry."""
    try:
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(word.endswith(b"worker/entry.py") for word in words)


@contextlib.contextmanager
def open_site(folder: Path, *, with_postgres: bool) -> Iterator[Site]:
    """Start everything, and stop it again; `folder` stays.

    Raises:
        ServiceError: A service could not be started.
    """
    place = Place(folder / "login")
    place.folder.mkdir()
    mark = secrets.token_hex(8)
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(_small_disk(place.folder / "runs"))
        slurm = stack.enter_context(PrivateSlurm(SETTINGS, folder / "slurm"))
        postgres = (
            stack.enter_context(PrivatePostgres(folder / "postgres")) if with_postgres else None
        )
        wrappers = Wrappers(folder / "bin")
        around = slurm.environment() | wrappers.environment() | {MARK: mark}
        site = Site(
            slurm=slurm,
            postgres=postgres,
            url=postgres.create(NAME) if postgres else None,
            place=Place(place.folder, around),
            wrappers=wrappers,
            disk=disk,
            mark=mark,
        )
        stack.callback(_end_processes, site)
        yield site


def _end_processes(site: Site) -> None:
    """Leave nothing behind, also if the run came to a bad end."""
    wait_until(lambda: not [p for p in site.processes() if p.send(9)], timeout_seconds=10)


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """Mount a small tmpfs where that is allowed; else the folder is an ordinary one."""
    folder.mkdir()
    words = ("mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0700", "tmpfs", str(folder))
    if subprocess.run(words, capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        # What is worth a look is kept, where there is room for it.
        with tempfile.TemporaryDirectory(dir=folder.parent) as kept:
            subprocess.run(("cp", "-a", f"{folder}/.", kept), check=False)
            subprocess.run(("umount", "--lazy", str(folder)), check=False)
            subprocess.run(("cp", "-a", f"{kept}/.", str(folder)), check=False)
