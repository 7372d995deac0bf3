"""Whether a run that was disturbed is what one without any trouble would have been."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator

from db.spool import layout
from tests.chaos.evidence import Seen
from tests.chaos.heads import Keeper
from tests.chaos.site import NAME, Site
from tests.cluster.daemons import wait_until
from tests.scenarios.evidence import Evidence, jobs_left

# Jobs that were cancelled, and programs whose workers were killed, are given time to end.
PATIENCE_SECONDS = 60


def findings(site: Site, keeper: Keeper, seen: Seen, *, trials: int) -> list[str]:
    """Return everything that is not as it should be; empty if nothing was lost or done twice."""
    evidence = Evidence(site.place, NAME, site.url)
    found = [*keeper.findings]
    for look in (_database, _results, _events, _programs, _queue, _processes, _spool):
        found += look(site, evidence, seen, trials)
    return found


def _database(site: Site, evidence: Evidence, seen: Seen, trials: int) -> Iterator[str]:
    words = () if site.url is None else ("--db_url", site.url)
    code, output = site.place.start("db", "check", *words).wait()
    if code:
        yield f"headway db check: exit code {code}\n{output}"


def _results(site: Site, evidence: Evidence, seen: Seen, trials: int) -> Iterator[str]:
    rows = evidence.rows(
        'SELECT trial."index", trial.status, trial.parameters, outcome.mean FROM trial '
        "LEFT JOIN outcome ON outcome.trial_id = trial.id"
    )
    if len(rows) != trials or {row[0] for row in rows} != set(range(trials)):
        yield f"{len(rows)} rows of results, {len({row[0] for row in rows})} trials, not {trials}"
    statuses = Counter(row["status"] for row in site.place.results(NAME))
    if statuses != {"COMPLETED": trials}:
        yield f"results.csv: {dict(statuses)}, not {trials} times COMPLETED"
    for index, _, parameters, mean in rows:
        wanted = _x(parameters)
        if mean is None or abs(mean - wanted) > 1e-9 * abs(wanted):
            yield f"trial {index}: result {mean}, but x was {wanted}"
    states = Counter(row[2] for row in evidence.attempts())
    if states["SUCCEEDED"] != trials:
        yield f"{states['SUCCEEDED']} attempts SUCCEEDED, not {trials}"
    if open_ones := {"PLANNED", "SUBMITTED", "STARTED"} & set(states):
        yield f"attempts are left {', '.join(sorted(open_ones))}"
    if waiting := evidence.rows("SELECT count(*) FROM report WHERE consumed_at IS NULL")[0][0]:
        yield f"{waiting} reports were never dealt with"


def _x(parameters: object) -> float:
    import json

    values = json.loads(parameters) if isinstance(parameters, str) else parameters
    assert isinstance(values, dict)
    return float(values["x"])


def _events(site: Site, evidence: Evidence, seen: Seen, trials: int) -> Iterator[str]:
    for payload in evidence.events("exit"):
        if "BUG" in str(payload):
            yield f"a head broke down: {payload}"


def _programs(site: Site, evidence: Evidence, seen: Seen, trials: int) -> Iterator[str]:
    seen.look()
    for (trial, attempt), count in seen.begun.items():
        if count > 1:
            yield f"attempt {attempt} of trial {trial} started its program {count} times"


def _queue(site: Site, evidence: Evidence, seen: Seen, trials: int) -> Iterator[str]:
    if not _in_time(lambda: not jobs_left(site.slurm, NAME)):
        yield f"jobs are left in the queue: {jobs_left(site.slurm, NAME)}"


def _processes(site: Site, evidence: Evidence, seen: Seen, trials: int) -> Iterator[str]:
    if not _in_time(lambda: not site.processes()):
        for process in site.processes():
            words = subprocess.run(
                ("ps", "-o", "args=", "-p", str(process.pid)), capture_output=True
            )
            yield f"process {process.pid} is left: {words.stdout.decode().strip()}"


def _spool(site: Site, evidence: Evidence, seen: Seen, trials: int) -> Iterator[str]:
    spool = site.run_dir / "spool"
    for part in (layout.REPORTS, layout.REJECTED):
        names = [path.name for path in (spool / part).iterdir() if path.name[0] != "."]
        if names:
            yield f"{len(names)} files are left in spool/{part}: {', '.join(sorted(names)[:5])}"


def _in_time(is_so: Callable[[], bool]) -> bool:
    return wait_until(is_so, timeout_seconds=PATIENCE_SECONDS)


def figures(site: Site, keeper: Keeper, seen: Seen, *, began: float) -> Iterator[str]:
    """Describe what happened."""
    evidence = Evidence(site.place, NAME, site.url)
    attempts = evidence.attempts()
    states = Counter(state for _, _, state, _ in attempts)
    classes = Counter(failure for _, _, _, failure in attempts if failure)
    kinds = Counter(dict(evidence.rows("SELECT kind, count(*) FROM event GROUP BY kind")))
    yield f"wall time             {time.monotonic() - began:.0f} s"
    yield f"heads                 {len(keeper.ended)}"
    yield f"attempts              {len(attempts)}: {_listed(states)}"
    yield f"failures              {_listed(classes) or 'none'}"
    yield f"attempts of one trial {max((number for _, number, _, _ in attempts), default=0)} at most"
    yield f"programs              {sum(seen.begun.values())} started"
    yield f"overlaps              {len(seen.overlaps)} trials ran twice at the same time"
    yield f"events                {_listed(kinds)}"
    for line in keeper.errors():
        yield f"ended by itself       {line}"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
