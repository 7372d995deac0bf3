"""A whole experiment with everything that a database can hold of one, written row by row.

What reads, copies, checks or exports a database is tested on it. All times are fixed; the values
are odd on purpose: quotes, umlauts, numbers that need 17 digits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from db.sql.tables import (
    Attempt,
    Experiment,
    Generation,
    GenerationNode,
    Objective,
    Outcome,
    Parameter,
    ParameterConstraint,
    SpecVersion,
    StrategySnapshot,
    Submission,
    Trial,
)
from db.sql.trials import parameter_hash
from db.states import (
    AttemptState,
    ExperimentStatus,
    FailureClass,
    SnapshotReason,
    SubmissionState,
    TrialStatus,
)
from tests.db.records import SPEC, START, Records, Rows

# The attempt, in the order of time, that runs in the requeued job of the one before it.
REQUEUED = 3
# Trial index -> its status; trials 0, 1, 2 and 6 have outcomes.
STATUSES = (
    TrialStatus.COMPLETED,
    TrialStatus.COMPLETED,
    TrialStatus.COMPLETED,
    TrialStatus.FAILED,
    TrialStatus.ABANDONED,
    TrialStatus.RUNNING,
    TrialStatus.COMPLETED,
    TrialStatus.CANDIDATE,
)
# What a failed attempt says beside its class.
FAILURE: dict[str, Any] = {
    "failure_name": "gpu_lost",
    "failure_message": "exit code 1",
    "failure_action": "tried again on another host",
    "failure_evidence": {"blame": "PAIRED", "line": "GPU has fallen off the bus", "exit_code": 1},
}
MEANS = {0: 0.1 + 0.2, 1: 1e-17, 2: -1.7976931348623157e308, 6: 3.0}


@dataclass(frozen=True, kw_only=True)
class Rich:
    """Where the experiment is, and its keys.

    Attributes:
        objective_ids: Key of each objective, in their order.
        trial_ids: Key of each trial, by index.
        attempt_ids: Keys of attempts: one of trials 0, 1, 4, 5, 6; two of trials 2 and 3.
    """

    engine: sa.Engine
    experiment_id: int
    uuid: str
    name: str
    objective_ids: list[int]
    trial_ids: list[int]
    attempt_ids: dict[tuple[int, int], int]


def points(index: int) -> dict[str, Any]:
    """The parameters of a trial: a range, a log range, an integer, two choices, a fixed one."""
    return {
        "x": 0.1 * (index + 1),
        "lr": 10.0 ** -(index + 1),
        "layers": index + 1,
        "kind": ["a", "b's", 'c"d'][index % 3],
        "flag": index % 2 == 0,
        "epochs": 7,
    }


def make_rich(engine: sa.Engine, name: str = "rich", *, run: int = 1, objectives: int = 2) -> Rich:
    """Write the experiment and return its keys."""
    with engine.begin() as connection:
        return _Writer(connection).experiment(engine, name, run=run, objectives=objectives)


class _Writer(Rows):
    """Writes an experiment with its trials and attempts."""

    def experiment(self, engine: sa.Engine, name: str, *, run: int, objectives: int) -> Rich:
        uuid = hashlib.sha256(f"{name}/{run}".encode()).hexdigest()[:36]
        key = self.put(
            Experiment,
            uuid=uuid,
            name=name,
            run_number=run,
            group="2030_00_Wed",
            description="Größe & 'Art'",
            participant="P-7",
            user_metadata={"ticket": "HPC-1", "empty": ""},
            spec=SPEC,
            status=ExperimentStatus.INTERRUPTED,
            stop_reason="SIGTERM",
            owner="me@here",
            run_dir=f"/runs/{name}/{run}",
            created_at=START,
            ended_at=START + timedelta(hours=2),
        )
        self._space(key)
        objective_ids = [
            self.put(Objective, experiment_id=key, position=i, name=n, minimize=m)
            for i, (n, m) in enumerate((("LOSS", True), ("ACC", False))[:objectives])
        ]
        generation_ids = self._strategy(key)
        trial_ids = [
            self._trial(key, index, generation_ids[0 if index < 3 else 1])
            for index in range(len(STATUSES))
        ]
        attempt_ids = self._attempts(key, trial_ids, uuid[:8])
        for index, mean in MEANS.items():
            self._result(index, mean, trial_ids, attempt_ids, objective_ids)
        records = Records(self.connection)
        records.of_attempt(trial_ids[0], attempt_ids[0, 1])
        records.of_experiment(key, trial_ids[0])
        records.code(key, attempt_ids[2, 2])
        records.host(key)
        return Rich(
            engine=engine,
            experiment_id=key,
            uuid=uuid,
            name=name,
            objective_ids=objective_ids,
            trial_ids=trial_ids,
            attempt_ids=attempt_ids,
        )

    def _space(self, key: int) -> None:
        rows: tuple[dict[str, Any], ...] = (
            {"name": "x", "kind": "range", "value_type": "float", "lower": 0.0, "upper": 1.0},
            {"name": "lr", "kind": "range", "value_type": "float", "lower": 1e-9, "upper": 1.0},
            {"name": "layers", "kind": "range", "value_type": "int", "lower": 1, "upper": 9},
            {"name": "kind", "kind": "choice", "value_type": "str"},
            {"name": "flag", "kind": "choice", "value_type": "bool"},
            {"name": "epochs", "kind": "fixed", "value_type": "int", "fixed_value": {"value": 7}},
        )
        for position, row in enumerate(rows):
            more: dict[str, Any] = {}
            if row["kind"] == "range":
                more["log_scale"] = row["name"] == "lr"
            if row["kind"] == "choice":
                choices = ["a", "b's", 'c"d'] if row["name"] == "kind" else [False, True]
                more |= {"choices": choices, "is_ordered": False}
            self.put(Parameter, experiment_id=key, position=position, **row, **more)
        self.put(
            ParameterConstraint,
            experiment_id=key,
            position=0,
            text="x + layers <= 9.5",
            coefficients={"x": 1.0, "layers": 1.0},
            bound=9.5,
        )
        self.put(ParameterConstraint, experiment_id=key, position=1, text="x * layers <= 40")

    def _strategy(self, key: int) -> list[int]:
        steps = (("SOBOL", 3, 0), ("TPE", None, 2))
        for position, (generator, number, least) in enumerate(steps):
            self.put(
                GenerationNode,
                experiment_id=key,
                position=position,
                generator=generator,
                num_trials=number,
                min_observed=least,
            )
        keys = [
            self.put(
                Generation,
                experiment_id=key,
                number=number,
                node=number,
                generator=generator,
                requested=count,
                produced=count,
                fit_time=0.25 * number,
                gen_time=0.125,
                seed=4294967295 - number,
                state={"drawn": count} if number == 0 else None,
                created_at=START + timedelta(minutes=number),
            )
            for number, (generator, count) in enumerate((("SOBOL", 3), ("TPE", 5)))
        ]
        for reason, node in ((SnapshotReason.NODE_CHANGE, 1), (SnapshotReason.HEAD_END, 1)):
            self.put(
                StrategySnapshot,
                experiment_id=key,
                reason=reason,
                node=node,
                generator="TPE",
                document={"nodes": [{"generator": "SOBOL", "proposed": 3}], "next_generation": 2},
                created_at=START + timedelta(minutes=2),
            )
        for version, why in ((1, "setup"), (2, "resume: max_eval 8 instead of 6")):
            self.put(
                SpecVersion,
                experiment_id=key,
                version=version,
                spec=SPEC,
                reason=why,
                created_at=START + timedelta(minutes=version),
            )
        return keys

    def _trial(self, key: int, index: int, generation_id: int) -> int:
        status = STATUSES[index]
        point = points(index)
        began = START + timedelta(minutes=10 * (index + 1))
        has_run = status != TrialStatus.CANDIDATE
        is_open = status in {TrialStatus.CANDIDATE, TrialStatus.RUNNING}
        reasons = {3: "PROGRAM: exit code 1, " + "x" * 120, 4: "CANCELLED: by a person"}
        return self.put(
            Trial,
            experiment_id=key,
            index=index,
            generation_id=generation_id,
            parameters=point,
            parameter_hash=parameter_hash(point),
            status=status,
            status_reason=reasons.get(index),
            created_at=began,
            staged_at=began + timedelta(seconds=1) if has_run else None,
            run_started_at=began + timedelta(seconds=2) if has_run else None,
            completed_at=None if is_open else began + timedelta(seconds=62),
        )

    def _attempts(self, key: int, trial_ids: list[int], token: str) -> dict[tuple[int, int], int]:
        submission = self.put(
            Submission,
            experiment_id=key,
            token=f"{token}-1",
            size=8,
            resources={"cpus": 2, "gpus": 1, "nodes": 1, "memory_mb": 1536},
            state=SubmissionState.ACCEPTED,
            slurm_job_id="123",
            created_at=START,
            answered_at=START + timedelta(seconds=1),
        )
        failed, succeeded = AttemptState.FAILED, AttemptState.SUCCEEDED
        states = {
            (0, 1): succeeded,
            (1, 1): succeeded,
            (2, 1): failed,
            # Its job was requeued.
            (2, 2): succeeded,
            (3, 1): failed,
            (3, 2): failed,
            (4, 1): AttemptState.CANCELLED,
            (5, 1): AttemptState.STARTED,
            (6, 1): succeeded,
        }
        return {
            (trial, number): self._attempt(
                order,
                trial_ids[trial],
                submission=submission,
                token=token,
                number=number,
                state=state,
            )
            for order, ((trial, number), state) in enumerate(states.items())
        }

    def _attempt(
        self,
        order: int,
        trial_id: int,
        *,
        submission: int,
        token: str,
        number: int,
        state: AttemptState,
    ) -> int:
        began = START + timedelta(minutes=10 * (order + 1))
        restart = int(order == REQUEUED)
        place = order - int(order >= REQUEUED)
        classes = {
            AttemptState.FAILED: FailureClass.PROGRAM,
            AttemptState.CANCELLED: FailureClass.CANCELLED,
        }
        is_over = state != AttemptState.STARTED
        return self.put(
            Attempt,
            trial_id=trial_id,
            submission_id=submission,
            array_index=place,
            restart=restart,
            number=number,
            token=f"{token}-a{place}" + (f".{restart}" if restart else ""),
            claim=f"claim-{order}",
            state=state,
            slurm_job_id=f"123_{place}",
            host=f"node{order % 2 + 1}",
            requested={"cpus": 2, "gpus": 1, "nodes": 1, "memory_mb": 1536},
            measured={"wall_seconds": 60.0, "cpu_seconds": 90.5, "peak_memory_bytes": 2**30},
            infos={"note": "fine, isn't it"},
            exit_code={AttemptState.SUCCEEDED: 0, AttemptState.FAILED: 1}.get(state),
            failure_class=classes.get(state),
            **(FAILURE if state == AttemptState.FAILED else {}),
            log_path=f"logs/00/{order}.log",
            created_at=began,
            submitted_at=began + timedelta(seconds=1),
            started_at=began + timedelta(seconds=2),
            ended_at=began + timedelta(seconds=62) if is_over else None,
            heartbeat_at=began + timedelta(seconds=30),
        )

    def _result(
        self,
        index: int,
        mean: float,
        trial_ids: list[int],
        attempt_ids: dict[tuple[int, int], int],
        objective_ids: list[int],
    ) -> None:
        attempt = attempt_ids.get((index, 2), attempt_ids[index, 1])
        for position, objective in enumerate(objective_ids):
            self.put(
                Outcome,
                trial_id=trial_ids[index],
                objective_id=objective,
                mean=mean if position == 0 else float(index),
                sem=0.5 if index == 1 else None,
                source="ATTEMPT",
                attempt_id=attempt,
            )
