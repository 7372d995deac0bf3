"""Takes note of the files that the program names: those that a head and its workers met."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from db.records import CodeVersion, SeenFile
from db.sql import code_files, events
from db.sql.incoming import Incoming
from db.sql.store import Store, Transaction
from db.states import EventKind
from orchestrator.steps.docket import Docket
from orchestrator.steps.notes import Note

# A file with more versions than this is no code but something that trials write to.
MOST_VERSIONS = 20


def take_code(docket: Docket, connection: Transaction, report: Incoming) -> None:
    """Store the versions that a START report tells of; each one is said once.

    What is no file of this experiment is left out: the head knows them all from its start.
    """
    told = cast("dict[str, CodeVersion]", report.payload.get("code") or {})
    if not told:
        return
    experiment_id = docket.store.experiment_id
    known = code_files.versions(connection, experiment_id)
    new: dict[str, CodeVersion] = {}
    for path, version in sorted(told.items()):
        met = known.get(path, set())
        if 0 < len(met) < MOST_VERSIONS and version["sha256"] not in met:
            new[path] = {"sha256": version["sha256"], "bytes": version["bytes"]}
    if not new:
        return
    code_files.add(connection, experiment_id, new, attempt_id=report.attempt_id)
    docket.log(connection, EventKind.CODE, report, report.attempt_id, {"files": new})
    is_last = any(len(known[path]) + 1 == MOST_VERSIONS for path in new)

    def say() -> None:
        docket.note(
            "a file that the program names has changed",
            level="warning",
            trial=report.trial_index,
            files=", ".join(new),
            **({"note": "it changes all the time and is not watched any more"} if is_last else {}),
        )

    docket.then(say)


def record(store: Store, run_dir: Path, *, note: Note) -> None:
    """Store what the workers of a head are told of the code; say what an earlier head did not see.

    Args:
        store: The database, fenced by the lease of this head.
        run_dir: The run folder, with `job.json` in it.
        note: Takes what has changed.
    """
    seen = _told(run_dir)
    with store.write() as connection:
        known = code_files.versions(connection, store.experiment_id)
        new = _new_versions(known, seen)
        code_files.add(connection, store.experiment_id, new)
        # One that was not there before is what trials have made, more often than not.
        changed = {path: version for path, version in new.items() if path in known}
        if not changed:
            return
        row = events.row(store.experiment_id, EventKind.CODE, {"files": changed})
        events.append(connection, [row])
    note(
        "files that the program names have changed since an earlier head",
        level="warning",
        files=", ".join(changed),
    )


def _told(run_dir: Path) -> dict[str, SeenFile]:
    text = (run_dir / "job.json").read_text(encoding="utf-8")
    told: dict[str, SeenFile] = json.loads(text).get("code", {})
    return told


def _new_versions(
    known: Mapping[str, set[str]], seen: Mapping[str, SeenFile]
) -> dict[str, CodeVersion]:
    """Return what nobody has met yet; files that were there once and are gone have no content."""
    now: dict[str, CodeVersion] = {
        path: {"sha256": file["sha256"], "bytes": file["bytes"]} for path, file in seen.items()
    }
    for path in known.keys() - seen.keys():
        if not os.path.lexists(path):
            now[path] = {"sha256": "", "bytes": 0}
    return {
        path: version
        for path, version in sorted(now.items())
        if version["sha256"] not in known.get(path, set())
    }
