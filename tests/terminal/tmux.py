"""A real terminal: a shell in a private tmux, typed into and read from."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from tests.main_job.runs import HEADWAY, clean_environment

PROGRAMS = ("tmux", "bash")
_PROMPT = "ready> "


class Terminal:
    """One window of a tmux server of its own, with an interactive shell in it."""

    def __init__(
        self,
        folder: Path,
        *,
        width: int = 80,
        height: int = 24,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Open the terminal.

        Args:
            folder: Where the shell starts, and where the server's socket lies.
            width: Its columns.
            height: Its lines.
            environment: Variables besides the usual ones.
        """
        # Sockets have short paths; pytest's folders do not.
        self._socket = f"/tmp/headway-tmux-{os.getpid()}-{id(self):x}"
        self._answers = 0
        self._environment = clean_environment() | {"LANG": "C.UTF-8", "LC_ALL": ""}
        self._environment |= dict(environment or {})
        self._environment.pop("TMUX", None)
        shell = f"exec env PS1={shlex.quote(_PROMPT)} bash --norc --noprofile -i"
        size = ("-x", str(width), "-y", str(height))
        self._run("-f", "/dev/null", "new-session", "-d", *size, "-c", str(folder), shell)
        # Otherwise the window gets the size of whoever attaches.
        self._run("set-option", "-g", "window-size", "manual")

    def __enter__(self) -> Self:
        try:
            self.wait_for(_PROMPT.strip())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.hang_up()
        Path(self._socket).unlink(missing_ok=True)

    def type(self, line: str) -> None:
        """Type a line and press Enter."""
        self._run("send-keys", "-l", line)
        self.press("Enter")

    def headway(self, *words: str) -> None:
        """Type a command of Headway."""
        self.type(shlex.join([*HEADWAY, *words]))

    def press(self, *keys: str) -> None:
        """Press keys, as tmux calls them: `q`, `C-z`, `Enter`."""
        self._run("send-keys", *keys)

    def hang_up(self) -> None:
        """End the terminal under whatever runs in it, as a lost connection does."""
        # It has ended already if its shell has.
        self._run("kill-server", check=False)

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        self._run("resize-window", "-x", str(width), "-y", str(height))

    def lines(self) -> list[str]:
        """Return what the window shows, line by line."""
        return self._run("capture-pane", "-p").split("\n")[:-1]

    def text(self) -> str:
        """Return what the window shows."""
        return "\n".join(self.lines())

    def styled(self) -> str:
        """Return what the window shows, with the sequences for colours."""
        return self._run("capture-pane", "-p", "-e")

    def flag(self, name: str) -> str:
        """Return what tmux knows of the window, e.g. `cursor_flag`, `alternate_on`."""
        return self._run("display-message", "-p", f"#{{{name}}}").strip()

    def wait_for(self, *words: str, seconds: float = 60) -> str:
        """Wait until the window shows all of these words; return what it shows."""
        return self.wait_until(lambda shown: all(word in shown for word in words), seconds)

    def wait_until(self, is_so: Callable[[str], bool], seconds: float = 60) -> str:
        """Wait until what the window shows is as it should be, or fail; return what it shows."""
        end = time.monotonic() + seconds
        while not is_so(shown := self.text()):
            assert time.monotonic() < end, shown
            time.sleep(0.05)
        return shown

    def answer(self, command: str) -> str:
        """Type a command at the shell's prompt and return what it prints."""
        self._answers += 1
        path = Path(f"{self._socket}.answer{self._answers}")
        whole = Path(f"{path}.whole")
        self.type(f"{{ {command}; }} > {path} 2>&1; mv {path} {whole}")
        self.wait_until(lambda _: whole.exists())
        said = whole.read_text().strip()
        whole.unlink()
        return said

    def _run(self, *words: str, check: bool = True) -> str:
        command = ["tmux", "-u", "-S", self._socket, *words]
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=60, check=check
        )
        return done.stdout
