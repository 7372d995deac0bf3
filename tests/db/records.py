"""What workers and heads leave behind beside trials and attempts, written row by row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from db.sql.tables import (
    Artifact,
    Base,
    Card,
    CodeFile,
    Event,
    Exclusion,
    HeadLease,
    Host,
    Metric,
    Report,
)
from db.states import CardKind, ExclusionSource, HostState, ReportKind

START = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SPEC = {"name": "rich", "space": {"parameters": []}, "note": "it's “quoted” \\ ünïcode"}


class Rows:
    """Inserts rows and remembers their keys."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def put(self, model: type[Base], **values: Any) -> int:
        """Insert one row and return its key."""
        result = self.connection.execute(sa.insert(model).values(**values))
        key = result.inserted_primary_key
        assert key is not None
        return int(key[0])


class Records(Rows):
    """Writes what is known of an experiment beside its trials and attempts."""

    def of_attempt(self, trial_id: int, attempt_id: int) -> None:
        """Three measurements, a file and three reports of one attempt."""
        first = {"trial_id": trial_id, "attempt_id": attempt_id}
        for step in range(3):
            self.put(
                Metric,
                **first,
                name="loss",
                value=1.0 / (step + 3),
                split="VALIDATION",
                level="STEP",
                step=step,
                created_at=START + timedelta(minutes=11, seconds=step),
            )
        self.put(
            Artifact, **first, name="model", url="file:///m.bin", format="bin", bytes=5, sha256=None
        )
        for sequence, (kind, refused) in enumerate(
            ((ReportKind.START, None), (ReportKind.END, None), (ReportKind.END, "too late"))
        ):
            self.put(
                Report,
                attempt_id=attempt_id,
                kind=kind,
                sequence=sequence,
                payload={"outcomes": {"LOSS": 0.3}},
                created_at=START + timedelta(minutes=12),
                consumed_at=START + timedelta(minutes=12),
                refused_reason=refused,
            )

    def of_experiment(self, key: int, trial_id: int) -> None:
        """The log of events, an analysis and the lease of a head that has ended."""
        for event, payload in (
            ("setup", {"spec": SPEC}),
            (
                "ask",
                {"generation": 0, "trials": [0, 1, 2]},
            ),
            ("tell", {"trial_index": 0, "means": {"LOSS": 0.1 + 0.2}}),
            ("exit", {"status": "INTERRUPTED"}),
        ):
            trial = trial_id if event == "tell" else None
            self.put(
                Event,
                experiment_id=key,
                kind=event,
                trial_id=trial,
                payload=payload,
                created_at=START,
            )
        self.put(
            Card,
            experiment_id=key,
            name="Sensitivity",
            title="Which parameter matters",
            subtitle="Sobol indices",
            category="insight",
            kind=CardKind.PLOTLY,
            data_frame={"x": [0.5], "lr": [0.25]},
            blob='{"data": []}',
            created_at=START,
        )
        self.connection.execute(
            sa.insert(HeadLease).values(
                experiment_id=key,
                host="here",
                boot_id="b",
                pid=1,
                process_started=2,
                epoch=3,
                expires_at=START,
                vitals={"told_at": "2030-01-02T03:04:05+00:00", "calls": {"squeue": 7}},
            )
        )

    def code(self, key: int, attempt_id: int) -> None:
        """Two files that the program names; an attempt met one of them changed, and then gone."""
        for path, content, met_by in (
            ("/work/b's train.py", "a", None),
            ("/work/größe.json", "b", None),
            ("/work/b's train.py", "c", attempt_id),
            ("/work/b's train.py", "", attempt_id),
        ):
            self.put(
                CodeFile,
                experiment_id=key,
                path=path,
                sha256=content * 64,
                bytes=2**40 if content else 0,
                attempt_id=met_by,
                created_at=START + timedelta(minutes=13),
            )

    def host(self, key: int) -> None:
        """Hosts are shared by all experiments of a database."""
        if self.connection.execute(sa.select(sa.func.count()).select_from(Host)).scalar():
            return
        host = self.put(
            Host,
            cluster="",
            name="node2",
            state=HostState.SUSPECT,
            reason="trial 3 failed there",
            evidence={"attempts": [5]},
            first_seen_at=START,
            changed_at=START,
        )
        self.put(
            Exclusion,
            host_id=host,
            experiment_id=key,
            source=ExclusionSource.USER,
            decided_by="me@here",
            reason="fan is loud",
            created_at=START,
            expires_at=START + timedelta(hours=6),
        )
