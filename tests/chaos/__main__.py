"""`python -m tests.chaos`: disturb a search as a cluster would, and see that nothing is lost."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.plan import Kind
from tests.chaos.run import Run
from tests.chaos.site import open_site
from tests.cluster.daemons import ServiceError

LARGEST_SEED = 2**31 - 1


def main(words: list[str] | None = None) -> int:
    """Do one run; 0 if nothing was lost and nothing came twice."""
    given = _parser().parse_args(words)
    seed = secrets.randbelow(LARGEST_SEED) if given.seed is None else given.seed
    # Below /tmp and short: sockets lie in it.
    folder = Path(tempfile.mkdtemp(prefix="headway-chaos-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        with open_site(folder, with_postgres=given.database == "postgres") as site:
            found = Run(
                site,
                trials=given.trials,
                seed=seed,
                faults=given.faults,
                say=say,
                only=[Kind[name] for name in given.only or Kind.__members__],
            ).run()
    except ServiceError as error:
        say(f"a service failed: {error}")
        return 2
    if not found:
        say(f"\nnothing was lost and nothing came twice ({given.database}, seed {seed})")
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    for finding in found:
        say(f"FOUND: {finding}")
    options = f"--database {given.database} --trials {given.trials} --faults {given.faults}"
    if given.only:
        options += f" --only {' '.join(given.only)}"
    say(f"\neverything is kept in {folder}")
    say(f"replay: {sys.executable} -m tests.chaos --seed {seed} {options}")
    return 1


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="of an earlier run (default: drawn)")
    parser.add_argument("--faults", type=int, default=210, help="how many (%(default)s)")
    parser.add_argument("--trials", type=int, default=1000, help="how many (%(default)s)")
    parser.add_argument(
        "--only", nargs="+", choices=[kind.name for kind in Kind], help="kinds (default: all)"
    )
    parser.add_argument("--database", choices=("postgres", "sqlite"), default="postgres")
    return parser


if __name__ == "__main__":
    sys.exit(main())
