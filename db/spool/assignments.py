"""Assignments: written by the head, owned by whoever renames them first.

The file `TOKEN_INDEX.json` is an offer. A worker takes it by renaming it to `….claimed-NONCE`, the
head takes it back by renaming it to `….withdrawn`. The file system lets exactly one of them win.
An answer that got lost on its way (NFS) may make a rename that happened look failed: so after any
error both look for their own name before they believe it.
"""

from __future__ import annotations

import os

from db.light_json import dumps, loads
from db.spool.layout import ASSIGNMENTS, REPORTS, delete, part, write_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.records import Assignment


def _offer(spool: str, token: str, index: int) -> str:
    """Return the path of an assignment that nobody has taken."""
    return os.path.join(part(spool, ASSIGNMENTS), f"{token}_{index}.json")


def write_assignments(spool: str, token: str, assignments: Mapping[int, Assignment]) -> None:
    """Offer the attempts of a submission, by array index.

    Only for a submission that was not yet handed to a scheduler: an offer that is written again
    after it was taken could be taken twice. Until then, writing it again changes nothing.
    """
    for index, assignment in assignments.items():
        write_whole(_offer(spool, token, index), dumps(assignment), durable=False)


def claim(spool: str, token: str, index: int, nonce: str) -> Assignment | None:
    """Take an assignment for the worker process that `nonce` names.

    Calling it again with the same nonce gives the same answer.

    Args:
        spool: The spool's folder.
        token: Token of the submission.
        index: Array index.
        nonce: Names this worker process.

    Returns:
        The assignment, or None if it was taken by somebody else, withdrawn, or never there.

    Raises:
        OSError: The folder did not answer; whether the claim worked is not known.
        ValueError: It is ours but not readable as an assignment.
    """
    mine = claimed_path(spool, token, index, nonce)
    return _read(mine) if _take(_offer(spool, token, index), mine) else None


def take_over(spool: str, token: str, index: int, nonce: str) -> Assignment | None:
    """Go on with an assignment that the earlier run of the same requeued job had claimed.

    It becomes the next attempt at its place, with the token `TOKEN.r`; the head learns of it by the
    first message with that token. Calling it again with the same nonce gives the same answer.

    Args:
        spool: The spool's folder.
        token: Token of the submission.
        index: Array index.
        nonce: Names this worker process; see `db.restarts.nonce_of`.

    Returns:
        The assignment; None if its attempt has ended, its earlier run may have left a result, or a
        later run has it.

    Raises:
        OSError, ValueError: As in `claim`.
    """
    from db.restarts import next_token, restart_of

    restart = restart_of(nonce)
    mine = claimed_path(spool, token, index, nonce)
    holder = _last_holder(spool, token, index)
    if holder is None or (holder != mine and restart_of(holder) >= restart):
        return None
    found = _read(holder)
    if holder != mine and not (_may_go_on(spool, found["attempt_token"]) and _take(holder, mine)):
        return None
    if restart_of(found["attempt_token"]) != restart:
        number = found["number"] + 1
        token = next_token(found["attempt_token"], restart)
        found = {**found, "number": number, "attempt_token": token}
        write_whole(mine, dumps(found), durable=False)
    return found


def _last_holder(spool: str, token: str, index: int) -> str | None:
    """Return the path of an assignment that somebody has claimed; of several the latest run's."""
    from db.restarts import restart_of

    folder = part(spool, ASSIGNMENTS)
    start = f"{token}_{index}.json.claimed-"
    held = [name for name in os.listdir(folder) if name.startswith(start)]
    return os.path.join(folder, max(held, key=restart_of)) if held else None


def _may_go_on(spool: str, attempt_token: str) -> bool:
    """Tell whether no report that waits says that an attempt ended by itself.

    Raises OSError if the head has just taken such a report: it is about to decide.
    """
    from db.restarts import is_interrupted

    folder = part(spool, REPORTS)
    for name in os.listdir(folder):
        if f"-{attempt_token}-END-" in name and name[0] != ".":
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                text = file.read()
            try:
                is_over = not is_interrupted(loads(text)["payload"])
            except (ValueError, KeyError, TypeError):
                continue  # not a report of ours: the head moves it aside
            if is_over:
                return False
    return True


def _read(path: str) -> Assignment:
    """Read a claimed assignment; raises ValueError if it is none."""
    with open(path, encoding="utf-8") as file:
        found: Assignment = loads(file.read())
    if not isinstance(found, dict) or "attempt_id" not in found:
        message = f"{path} is not an assignment"
        raise ValueError(message)
    return found


def claimed_path(spool: str, token: str, index: int, nonce: str) -> str:
    """Return the path of an assignment that the worker `nonce` has taken."""
    return f"{_offer(spool, token, index)}.claimed-{nonce}"


def is_taken(spool: str, token: str, index: int) -> bool:
    """Tell whether somebody is seen to have claimed or withdrawn an assignment.

    False is no proof: on NFS a listing may be seconds old.
    """
    start = f"{token}_{index}.json."
    return any(name.startswith(start) for name in os.listdir(part(spool, ASSIGNMENTS)))


def withdraw(spool: str, token: str, index: int) -> bool:
    """Take an assignment back, so that no worker can claim it any more.

    Calling it again gives the same answer.

    Returns:
        True if it is withdrawn, now or earlier. False if it is not there to be taken: a worker
        has it, or it was never written. Nothing here can tell these two apart safely, so treat it
        as claimed until its job is known to be gone.

    Raises:
        OSError: The folder did not answer; nothing is known.
    """
    offer = _offer(spool, token, index)
    return _take(offer, f"{offer}.withdrawn")


def discard(spool: str, token: str, index: int, nonce: str | None) -> None:
    """Remove what is left of an assignment whose attempt has ended.

    Args:
        spool: The spool's folder.
        token: Token of the submission.
        index: Array index.
        nonce: `attempt.claim`, if a worker had claimed it.
    """
    offer = _offer(spool, token, index)
    paths = [offer, f"{offer}.withdrawn"]
    if nonce is not None:
        paths.append(claimed_path(spool, token, index, nonce))
    delete(paths)


def _take(offer: str, mine: str) -> bool:
    """Rename `offer` to `mine`; True if `mine` exists afterwards."""
    try:
        os.rename(offer, mine)
    except OSError as error:
        try:
            os.stat(mine)
        except FileNotFoundError:
            if isinstance(error, FileNotFoundError):
                return False
            raise error from None
    return True
