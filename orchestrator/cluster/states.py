"""The one table that maps Slurm's words for the state of a job to ours.

Source: sacct(1) and squeue(1), "JOB STATE CODES", Slurm 22.05 to 24.11.
"""

from __future__ import annotations

from db.states import JobState

SLURM_STATES: dict[str, JobState] = {
    "PENDING": JobState.PENDING,
    "CONFIGURING": JobState.PENDING,
    "REQUEUED": JobState.PENDING,
    "REQUEUE_FED": JobState.PENDING,
    "REQUEUE_HOLD": JobState.PENDING,
    "SPECIAL_EXIT": JobState.PENDING,
    "RESV_DEL_HOLD": JobState.PENDING,
    "RUNNING": JobState.RUNNING,
    "COMPLETING": JobState.RUNNING,
    "RESIZING": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
    "STAGE_OUT": JobState.RUNNING,
    "STOPPED": JobState.RUNNING,
    "SUSPENDED": JobState.RUNNING,
    "COMPLETED": JobState.COMPLETED,
    "FAILED": JobState.FAILED,
    "TIMEOUT": JobState.TIMEOUT,
    "DEADLINE": JobState.TIMEOUT,
    "OUT_OF_MEMORY": JobState.OUT_OF_MEMORY,
    "PREEMPTED": JobState.PREEMPTED,
    "NODE_FAIL": JobState.NODE_FAIL,
    "BOOT_FAIL": JobState.NODE_FAIL,
    "LAUNCH_FAILED": JobState.NODE_FAIL,
    "RECONFIG_FAIL": JobState.NODE_FAIL,
    "CANCELLED": JobState.CANCELLED,
    "REVOKED": JobState.CANCELLED,
}
# Slurm has stopped the job's processes for a while: its worker cannot give a sign of life.
HALTED = ("STOPPED", "SUSPENDED")
# A shorter piece of a word could mean two things (CO is COMPLETED or COMPLETING or CONFIGURING).
SHORTEST_TRUNCATION = 6


def job_state(word: str) -> JobState:
    """Translate a state as Slurm prints it: `CANCELLED by 1000`, `CANCELLED+`, `COMPLETI`.

    A word that is not in the table, or a piece that fits several of its words with different
    meanings, is UNKNOWN: neither a success nor an end.
    """
    bare = word.strip().partition(" ")[0].rstrip("+").upper()
    if bare in SLURM_STATES:
        return SLURM_STATES[bare]
    if len(bare) < SHORTEST_TRUNCATION:
        return JobState.UNKNOWN
    meanings = {state for known, state in SLURM_STATES.items() if known.startswith(bare)}
    return meanings.pop() if len(meanings) == 1 else JobState.UNKNOWN


def is_halted(word: str) -> bool:
    """Whether Slurm itself has stopped the processes of a job in this state for a while."""
    return word.strip().upper() in HALTED
