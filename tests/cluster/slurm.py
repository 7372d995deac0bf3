"""A private Slurm of several nodes on this machine, with accounting or without."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.cluster import accounting, jobs, layout, mariadb, munge
from tests.cluster.configuration import CLUSTER_NAME, Partition, Ports, SlurmSettings
from tests.cluster.daemons import Daemon, Service, ServiceError
from tests.cluster.ports import is_listening
from tests.cluster.programs import missing_programs, program

__all__ = ["Partition", "PrivateSlurm", "ServiceError", "SlurmSettings"]

INSTALLER = Path(__file__).with_name("packages.sh")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "sinfo", "scontrol", "scancel")


def required_programs(settings: SlurmSettings) -> tuple[str, ...]:
    """Return the programs that a cluster of this shape needs."""
    needed = (*munge.PROGRAMS, *PROGRAMS)
    return (*needed, *accounting.PROGRAMS) if settings.accounting else needed


class PrivateSlurm(Service):
    """A Slurm cluster whose daemons, files and ports are its own.

    Without ``folder`` it lives in a new one below /tmp that ``stop`` removes; a given folder stays
    (with the logs) and is used again by the next ``start``. ``start`` and ``stop`` may be called
    when it already is as wished. Not thread-safe.

    Attributes:
        settings: Its size and shape.
        folder: Everything of it: configuration, state, spool, logs, sockets, pid files.
    """

    def __init__(self, settings: SlurmSettings | None = None, folder: Path | None = None) -> None:
        """Describe a cluster; nothing is started, and nothing written but a temporary folder."""
        self.settings = settings or SlurmSettings()
        self._is_temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="headway-slurm-", dir="/tmp"))
        self._ports: Ports | None = None
        self._daemons: dict[str, Daemon] = {}

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the cluster that another process started in ``folder``.

        Raises:
            FileNotFoundError: There is none.
        """
        settings, ports = layout.load(folder)
        cluster = cls(settings, folder)
        cluster._describe(ports)
        return cluster

    def environment(self) -> dict[str, str]:
        """Return what a command needs in its environment to talk to this cluster."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(
        self, *command: str, check: bool = True, timeout_seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command with this cluster's environment, in the folder ``work``.

        Raises:
            ServiceError: With ``check``, if it exits with another code than 0.
        """
        done = subprocess.run(
            command,
            env={**os.environ, **self.environment()},
            cwd=self.folder / "work",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
        if check and done.returncode:
            raise ServiceError(
                f"{' '.join(command)} exited with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done

    def is_running(self) -> bool:
        """Tell whether any of its daemons runs."""
        return any(daemon.is_running() for daemon in self._daemons.values())

    def is_complete(self) -> bool:
        """Tell whether all of its daemons run."""
        return bool(self._daemons) and all(daemon.is_running() for daemon in self._daemons.values())

    def daemon(self, name: str) -> Daemon:
        """Return a daemon: munged, mariadbd, slurmdbd, slurmctld or slurmd-NODE.

        Raises:
            ServiceError: There is none of this name, or the cluster was never started.
        """
        try:
            return self._daemons[name]
        except KeyError:
            raise ServiceError(f"{self.folder} has no daemon {name}") from None

    def start(self) -> None:
        """Start all daemons and return when every node takes jobs.

        Raises:
            ServiceError: A daemon failed; the text shows the end of its log. Nothing is left
                running, and the folder is kept.
        """
        if self.is_running():
            return
        missing = missing_programs(required_programs(self.settings))
        if missing:
            raise ServiceError(f"not installed: {', '.join(missing)}; see {INSTALLER}")
        self._describe(layout.prepare(self.folder, self.settings))
        try:
            self._start_munge()
            if self.settings.accounting:
                self._start_accounting()
            self.start_controller()
            for node in self.settings.node_names:
                self.start_node(node)
            self.wait_ready()
        except BaseException:
            self._stop_daemons()
            raise

    def stop(self) -> None:
        """End all daemons, and everything that jobs left running on the nodes."""
        self._stop_daemons()
        if self._is_temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def wait_ready(self, *, timeout_seconds: float = 30) -> None:
        """Wait until every node is up, also after ``start_node`` or ``start_controller``.

        Raises:
            ServiceError: The controller or a slurmd does not run, or the time is up.
        """
        self.daemon("slurmctld").wait_ready(self._all_nodes_up, timeout_seconds=timeout_seconds)

    def start_node(self, name: str) -> None:
        """Start the slurmd of a node; it is up again a moment later."""
        self.daemon(f"slurmd-{name}").start()

    def stop_node(self, name: str) -> None:
        """Let a node die: its slurmd and its jobs end at once and nobody tells the controller.

        The node is DOWN after SlurmdTimeout and about two MessageTimeouts: here after 20 s, and
        after 11 s where ``extra_lines`` set both to 3.
        """
        self.daemon(f"slurmd-{name}").stop(signal.SIGKILL)
        jobs.kill_steps(self.folder, [name])

    def freeze_controller(self) -> None:
        """Let the controller keep its port but answer nothing."""
        self.daemon("slurmctld").send(signal.SIGSTOP)

    def thaw_controller(self) -> None:
        """Let a frozen controller go on."""
        self.daemon("slurmctld").send(signal.SIGCONT)

    def stop_controller(self) -> None:
        """End the controller; jobs go on."""
        self.daemon("slurmctld").stop()

    def start_controller(self) -> None:
        """Start the controller, with its earlier state if there is one."""
        controller = self.daemon("slurmctld")
        controller.start()
        controller.wait_ready(lambda: is_listening(self._known_ports().controller))

    def _describe(self, ports: Ports) -> None:
        self._ports = ports
        daemons = [munge.munged(self.folder)]
        if self.settings.accounting:
            daemons += [accounting.database(self.folder), accounting.slurmdbd(self.folder)]
        daemons.append(self._slurm_daemon("slurmctld", "slurmctld", "-D"))
        for node in self.settings.node_names:
            daemons.append(self._slurm_daemon(f"slurmd-{node}", "slurmd", "-D", "-N", node))
        self._daemons = {daemon.name: daemon for daemon in daemons}

    def _known_ports(self) -> Ports:
        if self._ports is None:
            raise ServiceError("the cluster was not started")
        return self._ports

    def _slurm_daemon(self, name: str, executable: str, *arguments: str) -> Daemon:
        return Daemon(
            name=name,
            folder=self.folder,
            command=(program(executable), *arguments),
            environment=self.environment(),
        )

    def _start_munge(self) -> None:
        daemon = self.daemon("munged")
        daemon.start()
        daemon.wait_ready(munge.socket_path(self.folder).exists)

    def _start_accounting(self) -> None:
        mariadb.create_system_tables(self.folder)
        database = self.daemon("mariadbd")
        database.start()
        database.wait_ready(mariadb.socket_path(self.folder).exists)
        daemon = self.daemon("slurmdbd")
        daemon.start()
        daemon.wait_ready(lambda: is_listening(self._known_ports().accounting))
        self.run("sacctmgr", "-i", "add", "cluster", CLUSTER_NAME)

    def _all_nodes_up(self) -> bool:
        for node in self.settings.node_names:
            daemon = self.daemon(f"slurmd-{node}")
            if not daemon.is_running():
                raise daemon.failure("ended")
        answer = self.run("sinfo", "--noheader", "--Node", "--format=%N %t", check=False)
        states = dict(line.split() for line in answer.stdout.splitlines())
        # A trailing star means that the node does not answer.
        return len(states) == self.settings.nodes and not any(
            state.startswith(("down", "unk")) or state.endswith("*") for state in states.values()
        )

    def _stop_daemons(self) -> None:
        nodes = [self._daemons[name] for name in self._daemons if name.startswith("slurmd-")]
        # At once and not politely: nobody needs their state.
        for daemon in nodes:
            daemon.stop(signal.SIGKILL)
        if self._daemons:
            jobs.kill_steps(self.folder, self.settings.node_names)
        for name in ("slurmctld", "slurmdbd", "mariadbd", "munged"):
            if name in self._daemons:
                self._daemons[name].stop(patience_seconds=5)
