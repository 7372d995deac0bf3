"""What of a job's environment is about that job alone, and not to be handed on to another one."""

from __future__ import annotations

# Within a job all names that begin so are about that job, but for these: they say which Slurm it is.
_ABOUT_A_JOB = "SLURM_"
_ABOUT_SLURM = frozenset({"SLURM_CONF", "SLURM_CLUSTERS", "SLURM_CONF_SERVER", "SLURM_JWT"})


def of_another_job(name: str) -> bool:
    """Whether a variable says something of the job that it is found in.

    sbatch hands the environment on; srun in the new job would take some for its own options
    (srun(1), "INPUT ENVIRONMENT VARIABLES").
    """
    return name.startswith(_ABOUT_A_JOB) and name not in _ABOUT_SLURM
