"""`headway follow`: the live view of a search whose head may be anywhere, or dead."""

from __future__ import annotations

import argparse
import sys

from orchestrator.cli.places import find, open_place
from orchestrator.reports.live import Snapshot, SnapshotReader, show_once, watch


def follow(given: argparse.Namespace) -> int:
    """Show a search until it has ended.

    A dead head does not end the view: somebody may resume the search, and then it goes on.
    """
    place = find(given.experiment, run_root=given.run_dir, db_url=given.db_url)
    with open_place(place) as reader:
        snapshots = SnapshotReader(reader, place.experiment_id)
        first = snapshots.read()
        if given.once:
            show_once(first)
            return 0
        last = [first]

        def read() -> Snapshot:
            last[0] = snapshots.read()
            return last[0]

        watch(read, stop=lambda: not last[0].is_active)
    sys.stdout.flush()
    return 0
