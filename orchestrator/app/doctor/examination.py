"""The whole examination: what is looked at, in which order, and what is left out then."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import worker
from db.person import user_name
from db.spool.layout import write_whole
from db.sql.engine import is_sqlite
from orchestrator.app.doctor import slurm
from orchestrator.app.doctor.databases import look_at_database
from orchestrator.app.doctor.findings import Finding, Status, warning, within
from orchestrator.app.doctor.folders import LIMIT_SECONDS as FOLDER_SECONDS
from orchestrator.app.doctor.folders import look_at_folder, unusable
from orchestrator.app.doctor.probes import JOB_MINUTES, Probes
from orchestrator.app.doctor.sights import Expected
from orchestrator.app.doctor.targets import choose
from orchestrator.cluster.base import Limits
from orchestrator.cluster.checkup import LIMIT_SECONDS, read_config
from orchestrator.cluster.probing import ProbingCluster
from orchestrator.cluster.slurm import is_here
from orchestrator.spec.experiment import Timing
from orchestrator.spec.resources import Resources
from orchestrator.spec.site import Site
from worker.fitness import python_version
from worker.probe import QUESTION, code_digest

if TYPE_CHECKING:
    from worker.probe import Question

_PROBE = Path(worker.__file__).with_name("probe.py")
# Hidden: the commands that list runs do not see it.
_FOLDER = ".doctor-"
_REMOVALS = 20
_REMOVAL_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be looked at.

    Attributes:
        resources: What jobs are to ask for.
        site: What the site wants besides.
        run_root: The folder of all runs, absolute.
        db_url: The database; None: an SQLite file in the folder of each run.
        hosts: Names of nodes to probe, or how many; None: one, whichever Slurm takes.
        has_probe: Whether jobs are submitted at all.
        wait_seconds: How long a probe may wait until it begins.
        wants_slurm: Whether there has to be a Slurm.
    """

    resources: Resources
    site: Site
    run_root: Path
    db_url: str | None = None
    hosts: tuple[str, ...] | int | None = None
    has_probe: bool = True
    wait_seconds: float = 60.0
    wants_slurm: bool = False


def examine(plan: Plan) -> Generator[Finding]:
    """Look at everything, and tell it as it is found.

    Nothing is left behind, also when this is closed early: no job, no file, no table.
    """
    with contextlib.ExitStack() as stack:
        folder = None
        try:
            folder = stack.enter_context(_temporary_folder(plan.run_root))
        except OSError as error:
            yield unusable(plan.run_root, error)
        if folder is not None:
            is_broken = False
            for finding in look_at_folder(folder):
                is_broken = is_broken or finding.status is Status.FAILED
                yield finding
            yield look_at_database(plan.db_url, folder)
            folder = None if is_broken else folder
        if plan.wants_slurm or is_here():
            yield from _Slurm(plan, folder).examine()
        else:
            says = "there is no Slurm here: trials would run on this machine"
            yield warning("commands", says, "On a cluster, type this on a login node.")


@contextlib.contextmanager
def _temporary_folder(run_root: Path) -> Iterator[Path]:
    """Make a folder of our own where runs are kept, and remove it with all that was made for it."""
    folder = run_root / f"{_FOLDER}{secrets.token_hex(4)}"
    made: list[Path] = []

    def make() -> None:
        made.extend(path for path in (run_root, *run_root.parents) if not path.exists())
        folder.mkdir(mode=0o700, parents=True)

    try:
        within(FOLDER_SECONDS, make)
        yield folder
    finally:
        with contextlib.suppress(OSError):  # what does not answer cannot be tidied
            within(FOLDER_SECONDS, lambda: _remove(folder, made))


def _remove(folder: Path, made: list[Path]) -> None:
    """Remove a folder, and those that were made for it, from the lowest to the highest.

    A node may still be writing into it, or keep a file of it open (NFS).
    """
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(_REMOVAL_SECONDS)
    for path in made:
        with contextlib.suppress(OSError):  # somebody else's by now
            path.rmdir()


class _Slurm:
    """What concerns Slurm; `folder` is one that probes may use, None if there is none."""

    def __init__(self, plan: Plan, folder: Path | None) -> None:
        self._plan = plan
        self._folder = folder
        self._has_accounting = False
        self._cluster = ProbingCluster(
            entry=_PROBE,
            timing=Timing(slurm_limit_seconds=LIMIT_SECONDS, sacct_limit_seconds=LIMIT_SECONDS),
            user=user_name(),
            reservation=plan.resources.reservation,
            account=plan.resources.account,
            qos=plan.resources.qos,
            partition=plan.resources.partition,
            site=plan.site,
        )

    def examine(self) -> Iterator[Finding]:
        """Go from the commands to the nodes, as far as that makes sense."""
        found = slurm.look_at_commands()
        yield found
        if found.status is Status.FAILED:
            return
        config = self._cluster.checkup.config()
        yield from slurm.look_at_controller(config)
        if not config.is_ok:
            return
        is_broken = self._folder is None
        for finding in self._look(read_config(config.output)):
            is_broken = is_broken or finding.status is Status.FAILED
            yield finding
        if not self._plan.has_probe:
            return
        if self._folder is None or is_broken:
            says = "no probe was submitted, as what it needs is broken"
            yield warning("probe", says, "Put right what has failed, then try again.")
            return
        try:
            yield from self._probe(self._folder)
        except OSError as error:  # the disk has become full, say
            yield unusable(self._plan.run_root, error)

    def _look(self, config: Mapping[str, str]) -> Iterator[Finding]:
        """Look at all that a probe needs."""
        checkup, resources = self._cluster.checkup, self._plan.resources
        yield from slurm.look_at_partition(checkup.partitions(), self._limits, self._partition)
        accounting = checkup.accounting()
        self._has_accounting = accounting.is_ok
        yield slurm.look_at_accounting(accounting)
        yield from slurm.look_at_rights(checkup, config, resources)
        yield from slurm.look_at_limits(self._cluster.quota())

    @property
    def _partition(self) -> str | None:
        # sbatch reads it, too (sbatch(1), "INPUT ENVIRONMENT VARIABLES").
        return self._plan.resources.partition or os.environ.get("SBATCH_PARTITION")

    @cached_property
    def _limits(self) -> Limits | None:
        return self._cluster.limits(self._partition)

    def _probe(self, folder: Path) -> Iterator[Finding]:
        plan = self._plan
        hosts, problem = choose(plan.hosts, self._limits, self._partition)
        if problem is not None:
            yield problem
        if not hosts:
            return
        probes = Probes(
            self._cluster,
            folder,
            self._ask(folder),
            wait_seconds=plan.wait_seconds,
        )
        left: list[str] = []
        try:
            yield from probes.submit(self._resources(), hosts)
            yield from probes.watch()
            if self._has_accounting:
                yield from probes.accounting_delay()
        finally:
            left = probes.clear()
        if left:
            says = "a probe may still wait or run, as Slurm does not say that it has ended"
            yield warning("probe", says, f"End it when Slurm answers: scancel {' '.join(left)}")

    def _resources(self) -> Resources:
        most = self._limits.minutes if self._limits is not None else None
        minutes = min(JOB_MINUTES, most or JOB_MINUTES)
        changes = {"minutes": minutes, "nodes": 1, "requeue": False}
        return self._plan.resources.model_copy(update=changes)

    def _ask(self, folder: Path) -> Expected:
        """Write down what probes are asked, and return what they have to answer."""
        db_url = self._plan.db_url
        question: Question = {
            "content": secrets.token_hex(16),
            # An SQLite file is opened by one host alone.
            "db_url": None if db_url is None or is_sqlite(db_url) else db_url,
            "import_folders": [path for path in sys.path if path and os.path.isdir(path)],  # noqa: PTH112 - says no where Path raises
        }
        # For its owner alone, as it may hold a password.
        write_whole(str(folder / QUESTION), json.dumps(question), durable=True)
        return Expected(
            folder=self._plan.run_root,
            content=question["content"],
            python=python_version(),
            headway=code_digest(),
            db_url=question["db_url"],
        )
