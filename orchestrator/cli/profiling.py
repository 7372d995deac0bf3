"""`headway profile`: which profiles there are, whether one is right, and what it makes of a job."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.outputs import answer, answered
from orchestrator.cli.parser import Parser
from orchestrator.cli.quantities import text
from orchestrator.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from orchestrator.cli.profiles import ProfileFile
    from orchestrator.cluster.head_jobs import HeadAnswer
    from orchestrator.spec.experiment import ExperimentSpec

COMMANDS = {
    "list": "the profiles that there are, and where",
    "check": "is a profile right, what does it make of a job, and would Slurm take that?",
    "head-script": "the path of head.sbatch: `sbatch PATH OPTIONS OF headway run`",
}
# Stands for the token that a real submission would get.
_TOKEN = "0" * 16
# What every search needs and no profile says.
_SAMPLE = (
    *("--experiment_name", "profile-check", "--max_eval", "1", "--run_program", "echo RESULT: 1"),
    *("--parameter", "x", "range", "0", "1"),
)


def run(name: str, words: list[str]) -> int:
    """Run `headway profile …` and return its exit code.

    Raises:
        UsageError: It cannot be called like this, or the profile is wrong.
    """
    if not words or words[0] in {"-h", "--help", "help"}:
        print(_help())
        return 0
    if words[0] not in COMMANDS:
        hint = did_you_mean(words[0], COMMANDS) or "`headway profile --help` lists them."
        raise UsageError(f"{name} {words[0]}: there is no such command.", hint)
    bodies = {"list": list_profiles, "check": check, "head-script": head_script}
    return answered(make_parser(words[0]).parse(words[1:]), bodies[words[0]])


def make_parser(name: str) -> Parser:
    """Make the parser of one command on profiles."""
    said = {
        "list": ("Show the profiles that there are.", ("headway profile list",)),
        "check": (
            (
                "Say what is wrong in a profile, line by line; else show the scripts of its jobs.\n"
                "Exit code 2: it is wrong. 1: Slurm would refuse such a job."
            ),
            ("headway profile check plain", "headway profile check ./mine.yaml --submit"),
        ),
        "head-script": (
            "Print the path of head.sbatch, the head as a job of Slurm.",
            ('sbatch --time=8:00:00 "$(headway profile head-script)" --config_yaml search.yaml',),
        ),
    }
    description, examples = said[name]
    parser = Parser(f"profile {name}", description, examples)
    if name == "check":
        parser.add_argument("name", metavar="NAME", type=text, help="its name, or its file")
        parser.add_argument(
            "--submit",
            action="store_true",
            help="ask Slurm whether it would take such jobs (sbatch --test-only); none is submitted",
        )
    parser.add_json()
    return parser


def list_profiles(given: argparse.Namespace) -> int:
    """Show the name, the first line, and the file of each profile."""
    from orchestrator.cli.profiles import folders_of, profile_files
    from orchestrator.reports.tables import print_rows

    found = profile_files(os.environ)
    rows = [
        {"name": name, "says": _first_comment(path), "path": str(path)}
        for name, path in sorted(found.items())
    ]

    def say() -> None:
        print_rows(rows, ("name", "says", "path"), stream=sys.stdout)
        print(f"\nYour own go to {folders_of(os.environ)[0]}.")

    answer(given, {"profiles": rows}, say=say, table=rows)
    return 0


def head_script(given: argparse.Namespace) -> int:
    """Print where head.sbatch lies."""
    from slurm_templates import HEAD

    answer(given, {"path": str(HEAD)}, say=lambda: print(HEAD), table=[{"path": str(HEAD)}])
    return 0


def check(given: argparse.Namespace) -> int:
    """Read a profile, show what it makes of jobs, and ask Slurm about them if that is wanted.

    Raises:
        UsageError: The profile is wrong; one line for each mistake.
    """
    from orchestrator.cli.profiles import find_profile
    from orchestrator.cluster.slurm import is_here

    profile = find_profile(given.name)
    if given.submit and not is_here():
        raise UsageError("--submit: there is no Slurm here.", "Leave it out.")
    spec = _sample(given.name)
    scripts = _scripts(spec)
    warned = _warnings(profile)
    tried = _try(spec, scripts) if given.submit else {}
    record = {
        "name": profile.name,
        "path": str(profile.path),
        "options": _without_password(profile.options),
        "site": profile.site.model_dump(mode="json"),
        "warnings": warned,
        "scripts": scripts,
        "slurm": {
            what: {"answer": said.kind.value, "message": said.message}
            for what, said in tried.items()
        },
    }

    def say() -> None:
        print(f"{profile.path}: the profile is right.")
        for warning in warned:
            print(f"note: {warning}")
        print(f"\nThe job of a trial:\n\n{scripts['trial'].rstrip()}")
        print(f"\nThe job of a head, `--head slurm`:\n\n{_options_of(scripts['head'])}\n")
        for what, said in tried.items():
            print(f"A {what}'s job: {_verdict(said)}")

    answer(given, record, say=say)
    return 0 if all(_is_taken(said) for said in tried.values()) else 1


def _sample(name: str) -> ExperimentSpec:
    """Return the spec of a search with this profile and nothing that is not needed."""
    from orchestrator.cli.requests import read_request
    from orchestrator.cli.sources import read_sources

    # Variables HEADWAY_… of this shell are not the profile's.
    environment = {key: word for key, word in os.environ.items() if not key.startswith("HEADWAY_")}
    sources = read_sources([*_SAMPLE, "--profile", name], environment, Path.cwd())
    return read_request(sources, Path.cwd(), has_slurm=lambda: True).spec


def _without_password(options: Mapping[str, Any]) -> dict[str, Any]:
    from db.sql.engine import mask

    url = options.get("db_url")
    return {**options, "db_url": mask(str(url))} if url else dict(options)


def _scripts(spec: ExperimentSpec) -> dict[str, str]:
    """Return the script of a trial, and the options of the script of a head."""
    from orchestrator.app.head_job import options_for, script_text
    from orchestrator.app.heads import ENTRY
    from orchestrator.cluster.base import Order
    from orchestrator.cluster.slurm import SlurmCluster

    run_dir = Path.cwd() / "runs" / spec.name / "N"
    order = Order(
        token=_TOKEN,
        name=f"hw-{spec.name}-{_TOKEN}",
        size=1,
        resources=spec.resources,
        run_dir=run_dir,
        log_pattern=f"logs/{_TOKEN[:2]}/{_TOKEN}_{{index}}.log",
    )
    cluster = SlurmCluster(entry=ENTRY, timing=spec.timing, user="", site=spec.site)
    head = script_text(run_dir, options_for(spec, run_dir, None), omit=spec.site.omit)
    return {"trial": cluster.script(order), "head": head}


def _warnings(profile: ProfileFile) -> list[str]:
    """Say what is right and may be a slip all the same."""
    from orchestrator.cli.site_notices import omission_notices
    from orchestrator.spec.sbatch import near_miss

    site = profile.site
    keys = {"sbatch": site.sbatch, "omit": site.omit, "head_sbatch": site.head_sbatch}
    found = [
        f"{key}: {missed}"
        for key, names in keys.items()
        for name in names
        if (missed := near_miss(name))
    ]
    return [*found, *omission_notices(site, given=set(profile.options))]


def _try(spec: ExperimentSpec, scripts: dict[str, str]) -> dict[str, HeadAnswer]:
    """Ask Slurm whether it would take the jobs."""
    import tempfile

    from orchestrator.cluster.head_jobs import submit_script

    found = {}
    with tempfile.TemporaryDirectory(prefix="headway-") as folder:
        for what, script in scripts.items():
            path = Path(folder) / f"{what}.sbatch"
            path.write_text(script, encoding="utf-8")
            limit = spec.timing.slurm_limit_seconds
            found[what] = submit_script(
                path, cluster=spec.site.cluster, limit_seconds=limit, is_trial=True
            )
    return found


def _options_of(script: str) -> str:
    """Return the lines of a script that sbatch reads."""
    return "\n".join(line for line in script.splitlines() if line.startswith("#SBATCH "))


def _is_taken(said: Any) -> bool:
    from orchestrator.cluster.base import AnswerKind

    return bool(said.kind is AnswerKind.ACCEPTED)


def _verdict(said: HeadAnswer) -> str:
    lines = [line.strip() for line in said.message.splitlines() if line.strip()]
    told = " / ".join(lines)
    if _is_taken(said):
        return f"Slurm would take it ({told})" if told else "Slurm would take it"
    if said.permanent:
        return f"Slurm refuses it: {told}"
    return f"Slurm does not take it now: {told}"


def _first_comment(path: Path) -> str:
    """Return what the first line of a profile says of it; empty if it says nothing."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            line = stream.readline(300).strip()
    except OSError:
        return ""
    return line.lstrip("# ").rstrip() if line.startswith("#") else ""


def _help() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {said}" for name, said in COMMANDS.items()]
    lines = ["usage: headway profile COMMAND …", "", "What a cluster asks of every job.", ""]
    return "\n".join([*lines, *rows, "", "`headway profile COMMAND --help` tells more."])
