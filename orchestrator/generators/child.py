"""The generator process: reads asks from its standard input, writes answers to its standard output.

Started by `process.GeneratorProcess` as `python -I child.py HEAD JOURNAL FOLDER…`: the process id
of the head, the file descriptor of the journal, and folders to find libraries in. Whatever
libraries print goes to the log.
"""

from __future__ import annotations

import os
import sys

HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120


def add_folders(folders: list[str]) -> None:
    """Make Headway importable as headway.py does, and what the head found beyond `-I`."""
    places = [i for i, entry in enumerate(sys.path) if entry.endswith("site-packages")]
    if HOME not in sys.path:
        sys.path.insert(places[0] if places else len(sys.path), HOME)
    sys.path.extend(folder for folder in folders if folder not in sys.path)


def die_with(head: int) -> None:
    """Have the kernel kill this process when the head ends, in the midst of a long fit too."""
    import ctypes
    import signal

    set_parent_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != head:  # it ended before the kernel was told
        raise SystemExit(1)


def main() -> None:
    """Take over standard input and output, then answer until the input ends."""
    head, journal, *folders = sys.argv[1:]
    die_with(int(head))
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    add_folders(folders)
    from orchestrator.generators.answering import answer_all

    with os.fdopen(requests, "rb") as asks, os.fdopen(answers, "wb") as replies:
        answer_all(asks, replies, journal=int(journal))


if __name__ == "__main__":
    main()
