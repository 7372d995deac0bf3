"""Files for Slurm that Headway and its users need: the head as a job, parts of scripts, profiles."""

from pathlib import Path

FOLDER = Path(__file__).parent
HEAD = FOLDER / "head.sbatch"
TRIAL = FOLDER / "trial.sh"
PROFILES = FOLDER / "profiles"
