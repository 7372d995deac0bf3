"""`headway completion`: the Tab key pressed in real shells."""

from __future__ import annotations

import os
import pty
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli import completion
from orchestrator.cli.completion_script import make_script
from orchestrator.errors import UsageError
from tests.cli.commands import headway
from tests.cluster.fixtures import require_programs

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source ./script\n"),
    "zsh": (
        ["zsh", "-f", "-i"],
        'autoload -Uz compinit; compinit -u -D; eval "$(cat script)"\n',
    ),
    "fish": (["fish", "--no-config", "-i"], "source ./script\n"),
}
SAY = {
    "fish": 'function headway; echo "GOT:$argv."; end\n',
    **dict.fromkeys(("bash", "zsh"), 'headway() { echo "GOT:$*."; }\n'),
}
SECONDS = 60


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, words: list[str], folder: Path) -> None:
        self.said = ""
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb"}
            os.execvpe(words[0], words, environment)

    def type(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def wait_for(self, text: str) -> None:
        """Read until the shell has printed this."""
        end = time.monotonic() + SECONDS
        while text not in self.said:
            assert time.monotonic() < end, self.said
            if select.select([self.descriptor], [], [], 0.2)[0]:
                self.said += os.read(self.descriptor, 1 << 16).decode(errors="replace")

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.descriptor)


@pytest.fixture(params=sorted(SHELLS))
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    """A shell that completes, in a folder with two searches and another folder of runs."""
    shell = request.param
    words, read_script = SHELLS[shell]
    require_programs(shell, words[:1])
    for run in ("runs/first/1", "runs/network/1", "other/zed/1"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "spec.json").touch()
    (tmp_path / "script").write_text(make_script(shell))
    made = Terminal(words, tmp_path)
    try:
        made.type(read_script)
        made.type(SAY[shell])
        made.type("headway ready\n")
        made.wait_for("GOT:ready.")
        yield made
    finally:
        made.close()


def test_the_tab_key_completes_commands_searches_and_options(terminal: Terminal) -> None:
    for typed, expected in {
        "headway stat\tnet\t\n": "GOT:status network.",
        "headway db che\t--run_dir other ze\t\n": "GOT:db check --run_dir other zed.",
        "headway compare first net\t\n": "GOT:compare first network.",
        "headway hosts excl\tnode1 --rea\tx\n": "GOT:hosts exclude node1 --reason x.",
        "headway export --format parq\t--tab\tmetr\t\n": "GOT:export --format parquet --table metrics.",
    }.items():
        terminal.type(typed)
        terminal.wait_for(expected)


def test_the_script_is_printed_and_an_unknown_shell_is_bad_input() -> None:
    printed = headway("completion", "bash")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout == make_script("bash") + "\n"
    with pytest.raises(UsageError, match=r"'fsh' is no shell .*: bash, zsh, fish\. Did you"):
        completion.run("completion", ["fsh"])
    with pytest.raises(UsageError, match="needs a shell"):
        completion.run("completion", [])
