"""The script of `headway completion`, made by shtab from the parsers of all commands."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

import shtab

from orchestrator.cli.commands import COMMANDS
from orchestrator.cli.completion import SHELLS
from orchestrator.cli.exporting import FORMATS, TABLES
from orchestrator.cli.parsers import parser_of, subcommands

# By what the help shows for a value. `EXP` and its kin also stand for a run folder.
_EXPERIMENTS = dict.fromkeys(("bash", "zsh"), "_headway_experiments") | {
    "fish": "(_headway_experiments)"
}
_BY_METAVAR = {
    "EXP": _EXPERIMENTS,
    "[EXP] TRIAL": _EXPERIMENTS,
    "[EXP] [TRIAL]": _EXPERIMENTS,
    "SRC": _EXPERIMENTS,
    "FILE": shtab.FILE,
    "LOG": shtab.FILE,
    "DST": shtab.FILE,
    "PATH": shtab.FILE,
    "FOLDER": shtab.DIRECTORY,
}
_CHOICES = {"FORMAT": FORMATS, "TABLES": (*TABLES, "all"), "SHELL": SHELLS}
# What each shell finds: NAME and NAME/N for every runs/NAME/N/spec.json, or folders for a path.
_BASH = """\
_headway_experiments() {
  local root=runs card run i
  case "$1" in /*|./*|../*|\\~*) compgen -d -- "$1"; return ;; esac
  for (( i = 1; i < COMP_CWORD; i++ )); do
    case "${COMP_WORDS[i]}" in
      --run_dir|--run-dir)
        root="${COMP_WORDS[i+1]}"
        [ "$root" = "=" ] && root="${COMP_WORDS[i+2]}" ;;
    esac
  done
  root="${root/#\\~/$HOME}"
  for card in "${root%/}"/*/*/spec.json; do
    [ -e "$card" ] || continue
    run="${card%/spec.json}"
    run="${run#"${root%/}"/}"
    compgen -W "${run%/*} $run" -- "$1"
  done | sort -u
}
_shtab_headway_hosts_pos_0_COMPGEN=_headway_experiments
"""
_ZSH = """\
_headway_experiments() {
  local root=runs i
  local -a found
  for (( i = 1; i <= $#words; i++ )); do
    case $words[i] in
      --run[_-]dir) root=$words[i+1] ;;
      --run[_-]dir=*) root=${words[i]#*=} ;;
    esac
  done
  root=${${root/#\\~/$HOME}%/}
  found=( $root/*/*/spec.json(N:h) )
  found=( ${found#$root/} )
  compadd -- ${(u)found:h} $found
  [[ $PREFIX == (/|.|\\~)* ]] && _files -/
}
functions -c _shtab_headway_hosts_commands _headway_hosts_commands
_shtab_headway_hosts_commands() {
  _headway_hosts_commands
  _headway_experiments
}
"""
_FISH = """\
function _headway_experiments
  set -l root runs
  set -l said (commandline -opc)
  for i in (seq (count $said))
    switch $said[$i]
      case --run_dir --run-dir
        test $i -lt (count $said); and set root $said[(math $i + 1)]
      case '--run_dir=*' '--run-dir=*'
        set root (string replace -r '^[^=]*=' '' -- $said[$i])
    end
  end
  set root (string replace -r '/$' '' -- (string replace -r '^~' $HOME -- $root))
  for card in $root/*/*/spec.json
    set -l run (string replace -- $root/ '' (string replace /spec.json '' -- $card))
    echo (string replace -r '/.*' '' -- $run)
    echo $run
  end | sort -u
  string match -qr '^[/.~]' -- (commandline -ct); and __fish_complete_directories
end
"""
_PREAMBLES = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
_FISH_HOSTS = (
    "complete -c headway -n '_shtab_headway_using hosts; and test $_shtab_headway_npos -eq 0' "
    '-ka "(_headway_experiments)"\n'
)


def make_script(shell: str) -> str:
    """Return the script for one of `SHELLS`."""
    script = shtab.complete(_root(), shell, preamble=_PREAMBLES[shell])
    match shell:
        case "zsh":  # where shtab lets only the first of several searches be completed
            several = r'^  "\(\*\)::(?=.*:_headway_experiments"$)'
            return re.sub(several, '  "*:', script, flags=re.MULTILINE)
        case "fish":
            return script + _FISH_HOSTS
        case _:
            return script


def _root() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="headway", description="Runs and steers many trials.")
    commands = root.add_subparsers()
    for name, command in COMMANDS.items():
        names = subcommands(name)
        below = [sub for sub in names if sub]
        own = [] if names and "" not in names else [_parent(name, "" if names else None)]
        parser = commands.add_parser(
            name, parents=own, add_help=not own, help=command.help, description=command.help
        )
        if below:
            _add_below(parser, name, below)
    return root


def _add_below(parser: argparse.ArgumentParser, name: str, below: Sequence[str]) -> None:
    commands = parser.add_subparsers()
    for sub in below:
        parent = _parent(name, sub)
        said = (parent.description or "").partition("\n")[0]
        commands.add_parser(sub, parents=[parent], add_help=False, help=said, description=said)


def _parent(name: str, sub: str | None) -> argparse.ArgumentParser:
    """Return a parser with what can complete each of its values.

    That of a command which has commands of its own loses its words: shtab takes either.
    """
    parser = parser_of(name, sub)
    if sub == "":
        parser._actions[:] = [action for action in parser._actions if action.option_strings]
        for group in parser._action_groups:
            group._group_actions[:] = [
                action for action in group._group_actions if action.option_strings
            ]
    for action in parser._actions:
        metavar = str(action.metavar)
        if metavar in _BY_METAVAR:
            action.complete = _BY_METAVAR[metavar]  # type: ignore[attr-defined]  # shtab's way
        elif metavar in _CHOICES:
            action.choices = _CHOICES[metavar]
    return parser
