"""What a job of `headway doctor` does on a node: `PYTHON -I -S probe.py FOLDER`.

It looks at what a worker will need there, puts what it saw into one file of the folder, and ends.
As a worker, it imports the standard library only until it must not.
"""

from __future__ import annotations

import os
import sys

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class Question(TypedDict):
        """What `headway doctor` tells its probes; the file is for the user's eyes only.

        Attributes:
            content: A text that only this folder has.
            db_url: Database that workers of a search would speak to; None: none.
            import_folders: Where the head finds its libraries.
        """

        content: str
        db_url: str | None
        import_folders: list[str]

    class Sight(TypedDict, total=False):
        """What a probe saw; times are seconds since 1970 by the clock of its node.

        Attributes:
            host: Slurm's name of the node.
            content: The text of the question, as it is read there.
            python: The version that compiled libraries are made for.
            headway: The digest of Headway's code there.
            told_at: The time by the clock of `headway doctor` that its file said last.
            read_at: When that file had been read.
            database_ms: How long a question to the database took, connecting included.
            database_error: Why there was no answer; without the password.
            written_at: When this was about to be written.
        """

        host: str
        content: str
        python: str
        headway: str
        told_at: float
        read_at: float
        database_ms: float
        database_error: str
        written_at: float


QUESTION = "question.json"
CLOCK = "clock"
_SIGHT = "sight-"
# The job's own exit codes, which Slurm tells even where it has no accounting and where no file of
# the folder can be written: each says one thing alone.
NO_FOLDER, NO_PYTHON, NO_HEADWAY, NOT_WRITABLE = 81, 82, 83, 84


def sight_file(job_id: str) -> str:
    """Return the name of the file into which the probe of a job puts what it saw."""
    return f"{_SIGHT}{job_id}.json"


def code_digest(home: str = _HOME) -> str:
    """Return a digest of the code that workers run.

    Args:
        home: The folder that holds the packages.

    Raises OSError if that cannot be read.
    """
    import hashlib

    found = hashlib.sha256()
    for folder in ("worker", "db", os.path.join("db", "spool")):
        path = os.path.join(home, folder)
        for name in sorted(os.listdir(path)):
            if name.endswith(".py"):
                with open(os.path.join(path, name), "rb") as file:
                    found.update(f"{folder}/{name}\0".encode() + file.read() + b"\0")
    return found.hexdigest()


def look(folder: str) -> Sight:
    """Look at everything; raises OSError or ValueError if the question cannot be read."""
    import time

    from db.light_json import loads
    from worker.fitness import python_version

    with open(os.path.join(folder, QUESTION), encoding="utf-8") as file:
        question: Question = loads(file.read())
    with open(os.path.join(folder, CLOCK), encoding="utf-8") as file:
        told_at = float(file.read())
    sight: Sight = {
        "host": os.environ.get("SLURMD_NODENAME") or os.uname().nodename,
        "content": question["content"],
        "python": python_version(),
        "headway": code_digest(),
        "told_at": told_at,
        "read_at": time.time(),
    }
    if question["db_url"] is not None:
        sys.path.extend(path for path in question["import_folders"] if path not in sys.path)
        _ask_database(question["db_url"], sight)
    sight["written_at"] = time.time()
    return sight


def _ask_database(url: str, sight: Sight) -> None:
    """Put one question to the database, as a worker would."""
    import time

    from db.connections import open_database, without_password
    from db.errors import DatabaseError

    began = time.monotonic()
    try:
        open_database(url).transact(lambda execute: execute("SELECT 1", {}))
    except (DatabaseError, ImportError, OSError, ValueError) as error:
        sight["database_error"] = without_password(str(error), url)
    else:
        sight["database_ms"] = round(1000 * (time.monotonic() - began), 1)


def main(arguments: list[str]) -> int:
    """Look, and write down what was seen; returns the exit code of the job."""
    if _HOME not in sys.path:
        sys.path.append(_HOME)
    from db.light_json import dumps
    from db.spool.layout import write_whole
    from worker.attempt import slurm_job_id

    folder = arguments[1]
    sight = dumps(look(folder))
    try:
        path = os.path.join(folder, sight_file(slurm_job_id(os.environ) or "0"))
        write_whole(path, sight, durable=True)
    except OSError as error:
        sys.stderr.write(f"{folder} cannot be written: {error}\n")
        return NOT_WRITABLE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
