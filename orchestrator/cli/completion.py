"""`headway completion SHELL`: a script with which the Tab key completes words of Headway.

shtab makes it from the parsers of all commands. Experiments are found by the shell itself, from the
names of run folders, so that no Python starts while somebody types.
"""

from __future__ import annotations

from orchestrator.cli.parser import Parser
from orchestrator.errors import UsageError, did_you_mean

SHELLS = ("bash", "zsh", "fish")
_EXAMPLES = (
    'eval "$(headway completion bash)"                                  # in ~/.bashrc',
    'eval "$(headway completion zsh)"                                   # in ~/.zshrc, after compinit',
    "headway completion fish > ~/.config/fish/completions/headway.fish",
)


def run(name: str, words: list[str]) -> int:
    """Run the command and return its exit code.

    Raises:
        UsageError: There is no such shell.
    """
    given = make_parser(name).parse(words)
    if given.shell not in SHELLS:
        said = "needs a shell" if given.shell is None else f"{given.shell!r} is no shell known here"
        hint = did_you_mean(given.shell or "", SHELLS)
        raise UsageError(f"{name}: {said}: {', '.join(SHELLS)}.", hint)
    from orchestrator.cli.completion_script import make_script

    print(make_script(given.shell))
    return 0


def make_parser(name: str) -> Parser:
    """Make the parser of the command."""
    parser = Parser(
        name,
        "Print a script for your shell: the Tab key then completes commands, options, files and\n"
        "searches (those in the folder of runs).",
        _EXAMPLES,
    )
    parser.add_argument("shell", nargs="?", metavar="SHELL", help=", ".join(SHELLS))
    return parser
