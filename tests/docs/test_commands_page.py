"""docs/commands.md says what the parsers do, and the fields that `--json` really has."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql import tables
from db.states import ExclusionSource, HostState, ReportKind
from orchestrator.app.replaying import Difference, Result, Unanswered
from orchestrator.cli import description, urls
from orchestrator.cli.answer_fields import ANSWERS
from orchestrator.cli.commands import COMMANDS, dispatch
from orchestrator.cli.description import MARK, fill, render
from orchestrator.cli.fields import Fields
from orchestrator.cli.parsers import all_parsers
from orchestrator.reports.vitals import GeneratorVitals, Vitals, Waiting, as_json
from tests.main_job.runs import ROOT
from tests.reports.searches import BEGIN, Search, local_search
from tests.reports.searches import fill as fill_search

PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
RULES = "errors:\n  - name: licence\n    match_strings: [no licence]\n    behavior: Restart\n"
# How each command is called, so that its answer has every field that there is.
CALLS = {
    "list": ["list"],
    "status": ["status", "demo/1"],
    "trials": ["trials", "demo/1"],
    "show": ["show", "demo/1", "1"],
    "best": ["best", "demo/1"],
    "hosts": ["hosts", "demo/1"],
    "compare": ["compare", "demo/1", "demo/2"],
    "db info": ["db", "info", "demo/1"],
    "db upgrade": ["db", "upgrade", "demo/1"],
    "db check": ["db", "check", "demo/1"],
    "db copy": ["db", "copy", "demo/1", "all.db"],
    "rules check": ["rules", "check", "rules.yaml", "--log", "a.log"],
    "doctor": ["doctor", "--no_probe"],
    "why: without a trial": ["why", "demo/1"],
    "why: of a trial": ["why", "demo/1", "4"],
    "why: with --ticket": ["why", "demo/1", "4", "--ticket"],
    "run: with --dryrun": [
        *("run", "--dryrun", "--force_local_execution", "--experiment_name", "new"),
        *("--max_eval", "4", "--worker_timeout", "5", "--time", "60", "--run_program", "true {x}"),
        *("--parameter", "x", "range", "0", "1"),
    ],
    "profile list": ["profile", "list"],
    "profile check": ["profile", "check", "plain"],
    "profile head-script": ["profile", "head-script"],
    "generators": ["generators"],
}
# What a look at a database alone does not bring about: a job that waits in Slurm, say.
UNSEEN = {
    "db check": {"warnings[]."},
    "why: of a trial": {"slurm."},
    "why: with --ticket": {"findings[].", "slurm_says."},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with two searches, of which the first has something of everything."""
    here = tmp_path_factory.mktemp("commands")
    runs = here / "runs"
    first = local_search(runs, goals={"LOSS": True, "SPEED": False})
    second = local_search(runs, run_number=2, max_eval=20)
    fill_search(first)
    enrich(first)
    (here / "rules.yaml").write_text(RULES)
    (here / "a.log").write_text("no licence left\n")
    yield here
    first.engine.dispose()
    second.engine.dispose()


def enrich(search: Search) -> None:
    """Add what a head tells of itself, a host that is out, files, and measurements."""
    search.lease(25)
    told = Vitals(
        told_at=datetime.now(UTC),
        calls={"squeue": 3},
        waiting=(Waiting(reason="Priority", count=2),),
        generator=GeneratorVitals(name="TPE"),
    )
    lease = tables.table_of(tables.HeadLease)
    search.execute(sa.update(lease).values(vitals=as_json(told)))
    host = search.insert(
        tables.Host, cluster="", name="node5", state=HostState.GOOD, first_seen_at=BEGIN,
        changed_at=BEGIN,
    )  # fmt: skip
    search.insert(
        tables.Exclusion, host_id=host, source=ExclusionSource.USER, reason="a", created_at=BEGIN
    )
    search.metric(2, 2, 0.5, 1)
    search.insert(tables.Artifact, trial_id=2, attempt_id=2, name="m", url="file:///m")
    code = {"experiment_id": search.id, "path": "/p", "bytes": 1, "created_at": BEGIN}
    search.insert(tables.CodeFile, sha256="a" * 64, **code)
    search.insert(tables.CodeFile, sha256="b" * 64, attempt_id=2, **code)
    started = {"attempt_id": 2, "kind": ReportKind.START, "sequence": 0, "created_at": BEGIN}
    version = {"sha256": "b" * 64, "bytes": 1}
    search.insert(tables.Report, payload={"code": {"/p": version}}, consumed_at=BEGIN, **started)


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.delenv(urls.VARIABLE, raising=False)


def compare(value: Any, fields: Fields, seen: set[str], prefix: str = "") -> None:
    """Make sure that objects have the fields that are documented for them, and no other."""
    below = [name.removeprefix(prefix) for name in fields if name.startswith(prefix)]
    names = {name.partition(".")[0] for name in below}
    for each in value if isinstance(value, list) else [value]:
        seen.add(prefix)
        assert set(each) == {name.removesuffix("[]") for name in names}, prefix
        for name in names:
            found = each[name.removesuffix("[]")]
            if found and any(other.startswith(f"{name}.") for other in below):
                compare(found, fields, seen, f"{prefix}{name}.")


def objects(fields: Fields) -> set[str]:
    """Name every object within a documented answer, the answer itself included."""
    return {name[: name.rindex(".") + 1] if "." in name else "" for name in fields}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", CALLS)
def test_json_has_the_fields_of_the_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    dispatch([*CALLS[name], "--json"])
    value = json.loads(capsys.readouterr().out)
    seen: set[str] = set()
    compare(value, ANSWERS[name].fields, seen)
    assert isinstance(value, list) == ANSWERS[name].is_list
    assert objects(ANSWERS[name].fields) - seen == UNSEEN.get(name, set())


def test_a_replay_has_the_fields_of_the_page() -> None:
    difference = Difference(
        generation=1, generator="TPE", trial=1, parameter="x", recorded=1, again=2
    )
    lost = Unanswered(generation=2, generator="TPE", why="it is gone")
    result = Result(difference=difference, unanswered=lost).record()
    compare({"experiment": "a/1", "equal": False} | result, ANSWERS["db replay"].fields, set())


def test_every_command_with_json_has_its_fields_on_the_page() -> None:
    with_json = {
        name
        for name, parser in all_parsers()
        if any("--json" in action.option_strings for action in parser._actions)
    }
    assert with_json == {key.partition(":")[0] for key in ANSWERS}


def test_the_page_is_what_make_docs_would_write() -> None:
    assert fill(PAGE) == PAGE, "docs/commands.md is stale: run `make docs`"


def test_make_docs_writes_a_stale_page_anew_and_keeps_its_first_half(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# By hand\n\n{MARK}\n\nstale\n")
    subprocess.run([sys.executable, "-m", description.__name__, str(page)], cwd=ROOT, check=True)
    assert page.read_text() == f"# By hand\n\n{MARK}\n\n{render()}"


def test_every_command_is_on_the_page_with_all_its_options() -> None:
    assert set(COMMANDS) == {name.partition(" ")[0] for name, _ in all_parsers()}
    for name, parser in all_parsers():
        section = PAGE.partition(f"\n## headway {name}\n")[2].partition("\n## ")[0]
        for action in parser._actions:
            for option in set(action.option_strings) - {"-h", "--help"}:
                assert f"`{option}`" in section or f"`{option} " in section, (name, option)


def test_every_command_has_examples_in_its_help() -> None:
    for name, parser in all_parsers():
        examples = (parser.epilog or "").partition("examples:")[2]
        assert f"headway {name}" in examples, name
