"""`headway why --ticket`: all that a cluster's support wants to know, as one block of text.

It is made for pasting: no colours, no table that breaks, times with their zone. Neither the database's
password nor anything of the environment is in it.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from db.person import this_person
from db.sql.engine import mask
from db.sql.reading.detail import AttemptDetail
from orchestrator.cli.places import Place
from orchestrator.cli.waiting import LIMIT_SECONDS, site_of
from orchestrator.reports import rows
from orchestrator.reports.tables import cell, title
from orchestrator.reports.texts import text
from orchestrator.steps.log_ends import read_end

Row = dict[str, Any]

_LINE = "-" * 72
_LIBRARIES = ("submitit", "SQLAlchemy")
_HEAD_LINES = 15
_TAIL_CHARACTERS = 8192
# The user's password: what stands in a URL between `:` and `@`, or an option of it.
_IN_URL = re.compile(
    r"://[^/\s:@]*:(?P<password>[^\s@]+)@|(?i:[?&][^=&\s]*(?:pass|pwd)[^=&\s]*=)(?P<option>[^&\s]+)"
)
# Shorter ones would tear holes into every line.
_SHORTEST_PASSWORD = 4


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a ticket is about.

    Attributes:
        place: The search.
        about: The search or the trial in words.
        spec: What the search asks for, as it is stored.
        record: What `headway why --json` tells.
        attempts: Those of the trial; none: it is about the search.
    """

    place: Place
    about: str
    spec: Row
    record: Row
    attempts: Sequence[AttemptDetail] = ()


def ticket(case: Case) -> Row:
    """Return the facts of a ticket; two short calls of Slurm tell its version and its name."""
    place, record = case.place, case.record
    last = case.attempts[-1] if case.attempts else None
    is_local = case.spec.get("executor") == "local"
    facts = {
        "written_at": datetime.now(UTC),
        "about": case.about,
        "user": this_person(),
        "versions": _versions(),
        "slurm": None if is_local else _slurm(case.spec),
        "asked": _asked(case.spec, last),
        "jobs": [a.slurm_job_id for a in case.attempts if a.slurm_job_id],
        "hosts": list(dict.fromkeys(a.host for a in case.attempts if a.host)),
        "run_dir": str(place.run_dir),
        "script": _script(place.run_dir, last),
        "database": place.db_url.partition(":")[0],
        "says": record["says"],
        "attempts": [_attempt(*pair) for pair in _pairs(case)],
        "findings": record.get("findings", []),
        "slurm_says": record.get("slurm"),
        "hosts_out": [f"{out['host']}: {out['says']}" for out in record["hosts"]],
        "log": record.get("log"),
        "log_tail": record.get("log_tail"),
        "head_log_tail": None if case.attempts else _head_log(place.run_dir),
        "advice": record["advice"],
    }
    return _without_password(facts, place.db_url)


def _versions() -> Row:
    headway = _version("headway") or "not installed: a checkout"
    found: Row = {"Headway": headway, "Python": platform.python_version()}
    found |= {name: _version(name) for name in _LIBRARIES}
    return found | {"system": f"{platform.system()} {platform.release()}"}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _slurm(spec: Row) -> Row:
    """Return the version and the name of Slurm; None where it does not answer."""
    from orchestrator.cluster.checkup import read_config
    from orchestrator.cluster.commands import CallBudget, Commands

    site = site_of(spec)
    plain = Commands(CallBudget())
    version = plain.run("sbatch", "--version", limit_seconds=LIMIT_SECONDS)
    there = Commands(CallBudget(), cluster=site.cluster)
    config = there.run("scontrol", "show", "config", limit_seconds=LIMIT_SECONDS)
    named = read_config(config.output) if config.is_ok else {}
    return {
        "version": version.output.strip() if version.is_ok else None,
        "cluster": named.get("ClusterName"),
        "profile": site.profile,
    }


def _asked(spec: Row, last: AttemptDetail | None) -> Row:
    asked = dict((last.requested if last is not None else None) or spec.get("resources") or {})
    return {name: value for name, value in asked.items() if value not in (None, "", [], 0, False)}


def _script(run_dir: Path, last: AttemptDetail | None) -> str | None:
    """Return the path of the script that sbatch got; None: it is not there."""
    if last is None or not last.slurm_job_id:
        return None
    path = run_dir / "submissions" / f"{last.slurm_job_id.partition('_')[0]}.sh"
    return str(path) if path.is_file() else None


def _pairs(case: Case) -> Iterator[tuple[AttemptDetail, Row]]:
    return zip(case.attempts, case.record.get("attempts", []), strict=False)


def _attempt(attempt: AttemptDetail, told: Row) -> Row:
    names = ("attempt", "state", "job", "host", "exit_code", "signal", "failure", "failure_name")
    return {
        **{name: told[name] for name in names},
        "slurm_state": attempt.slurm_state,
        "message": told["message"],
        "evidence": told["evidence"],
        "action": told["action"],
        "submitted_at": attempt.submitted_at,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
    }


def _head_log(run_dir: Path) -> list[str] | None:
    """Return the last lines that the head has logged; None: they cannot be read here."""
    try:
        end = read_end(run_dir / "head.log")
    except OSError:
        return None
    return end[-_TAIL_CHARACTERS:].splitlines()[-_HEAD_LINES:]


def _without_password(facts: Row, db_url: str) -> Row:
    """Return the same without the password of the database, wherever a program printed it."""
    given = [found["password"] or found["option"] for found in _IN_URL.finditer(db_url)]
    spoken = [*given, *map(unquote, given)]
    # The longest first: one may be a part of another.
    words = sorted({word for word in spoken if len(word) >= _SHORTEST_PASSWORD}, key=len)[::-1]

    def clean(value: Any) -> Any:
        match value:
            case str():
                for word in words:
                    value = value.replace(word, "***")
                return mask(value) if "://" in value else value
            case list() | tuple():
                return [clean(each) for each in value]
            case dict():
                return {key: clean(each) for key, each in value.items()}
            case _:
                return value

    return {name: clean(value) for name, value in facts.items()}


# As text


def ticket_lines(facts: Row) -> list[str]:
    """Return the block that is pasted into a ticket."""
    return [_LINE, *_body(facts), _LINE]


def _body(facts: Row) -> Iterator[str]:
    slurm = facts["slurm"]
    plain = {
        "written": _time(facts["written_at"]),
        "about": facts["about"],
        "user": facts["user"],
        "versions": _pairs_of(facts["versions"]),
        "Slurm": None if slurm is None else _pairs_of(slurm) or "it does not answer here",
        "asked for": _pairs_of(facts["asked"]),
        "jobs": ", ".join(facts["jobs"]),
        "hosts": ", ".join(facts["hosts"]),
        "run folder": facts["run_dir"],
        "script": facts["script"],
        "database": facts["database"],
        "state": facts["says"],
    }
    yield from _named(plain)
    for attempt in facts["attempts"]:
        yield ""
        yield from _attempt_body(attempt)
    if facts["findings"]:
        yield ""
        yield from _named_each((each["about"], each["says"]) for each in facts["findings"])
    if facts["slurm_says"] is not None:
        said = facts["slurm_says"]
        why = f" ({said['reason']})" if said["reason"] else ""
        yield f"Slurm says: {said['state']}{why}{': ' + said['says'] if said['says'] else ''}"
    yield from _list("hosts that are out", facts["hosts_out"])
    yield from _list(f"end of {facts['log']}", facts["log_tail"] or [])
    yield from _list("end of head.log", facts["head_log_tail"] or [])
    yield from _list("what Headway suggests", facts["advice"])


def _attempt_body(attempt: Row) -> Iterator[str]:
    where = f" on {attempt['host']}" if attempt["host"] else ""
    job = f", job {attempt['job']}" if attempt["job"] else ""
    yield f"attempt {attempt['attempt']}{job}{where}: {attempt['state']}"
    kind = attempt["failure"] and rows.failure_word(attempt["failure"], attempt["failure_name"])
    times = {name: attempt[f"{name}_at"] for name in ("submitted", "started", "ended")}
    yield from _named(
        {
            "  submitted": times["submitted"] and _time(times["submitted"]),
            "  started": times["started"] and _time(times["started"]),
            "  ended": times["ended"] and _time(times["ended"]),
            "  class": kind,
            "  why": attempt["message"],
            "  exit code": attempt["exit_code"],
            "  signal": attempt["signal"],
            "  Slurm state": attempt["slurm_state"],
            "  evidence": _pairs_of(attempt["evidence"]),
            "  done": attempt["action"],
        }
    )


def _named(values: Mapping[str, object]) -> Iterator[str]:
    yield from _named_each((name, value) for name, value in values.items())


def _named_each(values: Any) -> Iterator[str]:
    told = [(name, text(value)) for name, value in values if value not in (None, "")]
    width = max((len(name) for name, _ in told), default=0)
    yield from (f"{name:<{width}}  {value}" for name, value in told)


def _list(name: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"{name}:"
        yield from (f"  {line}" for line in lines)


def _pairs_of(values: Mapping[str, Any]) -> str:
    """Return fields in one line, what is not known left out."""
    flat: Row = {}
    for name, value in values.items():
        # What was looked at on a host comes as an object of its own.
        flat |= value if isinstance(value, dict) else {name: value}
    flat.pop("patterns", None)
    return "; ".join(
        f"{title(name)} {cell(value, name)}" for name, value in flat.items() if value is not None
    )


def _time(moment: datetime) -> str:
    """Return a time in the zone of this host, which is named."""
    return moment.astimezone().isoformat(sep=" ", timespec="seconds")
