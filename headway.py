"""The way in: run Headway isolated from the folders a user works in.

The packages of Headway have everyday names, and a working directory or a `PYTHONPATH` may hold a
`db.py` of the user's own. This module imports nothing but os and sys before it has re-executed
itself with `-I`, which makes Python ignore both. The environment itself is left as it is: programs
of trials get it unchanged.
"""

import os
import sys

HOME = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120


def add_home() -> None:
    """Make Headway importable where it lies, before every site-packages folder.

    `-I` drops the user's own site-packages, and another project may have installed a package that
    is called `db` too: the folder that holds this file comes right after the standard library.
    """
    if HOME in sys.path:
        return
    places = [i for i, entry in enumerate(sys.path) if entry.endswith("site-packages")]
    sys.path.insert(places[0] if places else len(sys.path), HOME)


def main() -> None:
    """Run the command line in `sys.argv` and exit with its code."""
    if not sys.flags.isolated:
        arguments = [sys.executable, "-I", os.path.abspath(__file__), *sys.argv[1:]]  # noqa: PTH100
        os.execv(sys.executable, arguments)  # noqa: S606
    add_home()
    from orchestrator.cli import main as run

    raise SystemExit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
