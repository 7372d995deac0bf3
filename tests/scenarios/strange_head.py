"""`headway` as a program that is not quite itself: `python -I strange_head.py HOW WHAT WORDS…`.

HOW is `before` or `after`: it is killed by SIGKILL just before, or just after, its WHATth commit;
or `at`: before it carries out a statement that begins with WHAT; or `network`: it takes the folder
WHAT for one of a network file system.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def die_at_commit(number: int, *, before: bool) -> None:
    """Let this process end as by `kill -9` around one of its commits."""
    from sqlalchemy.engine.default import DefaultDialect

    commit: Callable[..., None] = DefaultDialect.do_commit
    seen = 0

    def counting(self: DefaultDialect, connection: object) -> None:
        nonlocal seen
        seen += 1
        mine = seen  # another thread may commit while this one does
        if mine == number and before:
            os.kill(os.getpid(), signal.SIGKILL)
        commit(self, connection)
        if mine == number:
            os.kill(os.getpid(), signal.SIGKILL)

    DefaultDialect.do_commit = counting  # type: ignore[method-assign]


def die_at_statement(text: str) -> None:
    """The same just before a statement."""
    import sqlalchemy as sa

    def look(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith(text):
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(sa.Engine, "before_cursor_execute", look)


def share(folder: Path) -> None:
    """Let a folder seem to lie on NFS."""
    from db import filesystems

    known = filesystems.MOUNTINFO.read_text()
    told = folder.with_name(f"{folder.name}.mountinfo")
    told.write_text(f"{known}999 1 0:99 / {folder} rw - nfs4 server:/export rw\n")
    filesystems.MOUNTINFO = told


if __name__ == "__main__":
    how, what, *words = sys.argv[1:]
    if how == "network":
        share(Path(what))
    elif how == "at":
        die_at_statement(what)
    else:
        die_at_commit(int(what), before=how == "before")
    from orchestrator.cli import main

    raise SystemExit(main(words))
