"""Paths, and the URL of a database, as a user gives them: an option, a file, or the environment."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import UsageError, did_you_mean

OPTION = "--db_url"
VARIABLE = "HEADWAY_DB_URL"
_LONGEST_URL_FILE = 10_000
# Nothing can be wrong with the form of such a URL. Checking it properly imports SQLAlchemy, which
# would make the process of the generator start later.
_PLAIN_URL = re.compile(
    r"postgres(ql)?://[A-Za-z0-9_.~%-]+(:[A-Za-z0-9_.~%-]*)?@[A-Za-z0-9_.-]+(:[0-9]{1,5})?/[A-Za-z0-9_-]+"
)
_PASSWORD = re.compile(r"://[^/@:]*:[^/@]+@")


def read_db_url(
    given: str | None,
    environment: Mapping[str, str],
    cwd: Path,
    *,
    called: str = OPTION,
    file: Path | None = None,
) -> tuple[str | None, list[str]]:
    """Return the URL of the database, or None, and what the user should know about it.

    Args:
        given: A URL, or `@FILE` with the file that holds it.
        environment: HEADWAY_DB_URL counts if nothing was given.
        cwd: What a relative file is relative to.
        called: What it was given with, for what is said of it.
        file: The file that it stands in; None: it is no file's.

    Raises:
        UsageError: It is no URL that can be used; the text holds no password.
    """
    option = called if given else VARIABLE
    word = given or environment.get(VARIABLE, "").strip()
    if not word:
        return None, []
    said: list[str] = []
    if word.startswith("@"):
        word, said = _read_file(cwd / expanded(word[1:], option), option)
    elif given and _PASSWORD.search(word):
        said = _shown_password(option, file)
    if not _PLAIN_URL.fullmatch(word):
        _check_url(word, option)
    return word, said


def _shown_password(option: str, file: Path | None) -> list[str]:
    """Say who else can read a password that was given with an option, or stands in a file."""
    if file is None:
        said = f"{OPTION}: ps shows its password to everyone here; @FILE or {VARIABLE} hide it"
        return [said] if option == OPTION else []
    try:
        is_open = file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
    except OSError:  # it has been read already; a pipe may be gone
        return []
    return [f"{option}: others can read it, and it holds a password; chmod 600"] if is_open else []


def expanded(text: str, called: str) -> Path:
    """Return a path with `~` and `~user` replaced; nothing is looked at.

    Args:
        text: The path.
        called: What the word is called in errors.

    Raises:
        UsageError: Nobody knows that home folder.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(f"{called}: {text!r}: there is no home folder of this name") from None


def user_path(text: str, called: str) -> Path:
    """Return a path, `~` replaced, of which can be said whether something is there.

    Args:
        text: The path.
        called: What the word is called in errors.

    Raises:
        UsageError: Its name is too long, or lies in a folder that this account may not enter.
    """
    path = expanded(text, called)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except OSError as error:
        raise UsageError(f"{called}: {text!r} cannot be used: {error.strerror}") from None
    return path


def near_file(path: Path) -> str:
    """Return "Did you mean X?" for a file beside one that is not there, or an empty text."""
    try:
        return did_you_mean(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        return ""


def is_text(path: Path) -> bool:
    """Whether a path is UTF-8, as all that is stored has to be; a file system takes any bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_url(word: str, option: str) -> None:
    from db.errors import DatabaseError
    from db.sql.engine import parse_url

    try:
        parse_url(word)
    except DatabaseError as error:
        raise UsageError(f"{option}: {error}") from None


def _read_file(path: Path, option: str) -> tuple[str, list[str]]:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode) or path.stat().st_size > _LONGEST_URL_FILE:
            raise UsageError(f"{option}: {str(path)!r} is not a file that holds one URL")
        lines = path.read_text(encoding="utf-8").strip().splitlines()
    except OSError as error:
        raise UsageError(f"{option}: {str(path)!r} cannot be read: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{option}: {str(path)!r} is not a text") from None
    if len(lines) != 1:
        raise UsageError(f"{option}: {str(path)!r} must hold one line, the URL")
    is_open = mode & (stat.S_IRGRP | stat.S_IROTH) and _PASSWORD.search(lines[0])
    warning = f"{option}: others can read {str(path)!r}, which holds a password; chmod 600 it"
    return lines[0].strip(), [warning] if is_open else []
