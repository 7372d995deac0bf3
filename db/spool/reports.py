"""Reports: one file each, written once by a worker; the head reads them through `inbox`."""

from __future__ import annotations

import os

from db.light_json import dumps
from db.spool.layout import REPORTS, part, write_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from db.records import ReportMessage


def write_report(spool: str, message: ReportMessage) -> str:
    """Store a report; when this returns, the disk has it.

    The name sorts by time and is the same for the same report, so that writing it again replaces
    it. Raises OSError if it could not be stored; then nothing of it is there.

    Returns:
        The path of the file.
    """
    stamp = "".join(sign for sign in message["created_at"][:26] if sign not in "-:")
    name = f"{stamp}-{message['attempt_token']}-{message['kind']}-{message['sequence']}.json"
    path = os.path.join(part(spool, REPORTS), name)
    write_whole(path, dumps(message), durable=True)
    return path
