"""The worker's way in: `PYTHON -I -S entry.py RUN_DIR SUBMISSION_TOKEN [INDEX]`.

Run by path, isolated and without site-packages: nothing in a user's folders can get in the way, and
nothing is searched that a trial does not need. Its output is the attempt's log.
"""

from __future__ import annotations

import os
import sys

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_ARGUMENTS = 3


def main(arguments: list[str]) -> int:
    """Run one attempt and return the exit code of the worker."""
    if len(arguments) not in (_ARGUMENTS, _ARGUMENTS + 1):
        sys.stderr.write("usage: entry.py RUN_DIR SUBMISSION_TOKEN [INDEX]\n")
        return 2
    if _HOME not in sys.path:
        sys.path.append(_HOME)  # after the standard library, before the folders of job.json
    from worker.attempt import run

    is_slurm_task = len(arguments) == _ARGUMENTS
    index = os.environ.get("SLURM_ARRAY_TASK_ID", "0") if is_slurm_task else arguments[-1]
    return run(arguments[1], arguments[2], int(index), is_slurm_task=is_slurm_task)


if __name__ == "__main__":
    # Nothing is buffered and nothing needs tidying: leave without the interpreter's own rounds.
    code = 1
    try:
        code = main(sys.argv)
    except Exception:  # noqa: BLE001 - the log is the only place that hears of it
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)
