"""`headway db info` and `headway db upgrade`, and what a user sees of an older database before."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql.engine import SCHEMA_VERSION, connect, make_engine, sqlite_url
from orchestrator.cli import database, notices
from orchestrator.cli.stores import label_of
from orchestrator.cli.urls import VARIABLE
from orchestrator.errors import HeadAliveError, UsageError
from tests.db.released import VERSIONS, load, write_run_folder
from tests.db.rich import make_rich
from tests.db.sql.test_upgrade import hold
from tests.main_job.runs import HEADWAY


@dataclass(frozen=True)
class Old:
    """A search that an older Headway left behind.

    Attributes:
        work: The working folder, with `runs` in it.
        url: The database; a file in the run folder, or on a server.
        version: The schema of the database.
        options: How a command is told of the database.
        upgrade: The command that errors have to name.
    """

    work: Path
    url: str
    version: str
    options: tuple[str, ...]
    upgrade: str

    def headway(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {name: text for name, text in os.environ.items() if name != VARIABLE}
        return subprocess.run(
            [*HEADWAY, *words],
            cwd=self.work,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def status(self) -> Any:
        done = self.headway("status", "old", *self.options, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mysql", marks=pytest.mark.mysql),
    ]
)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# The commands do the same for all versions; what each needs is seen in db/sql/test_upgrade.
SELDOM = [pytest.param(version, marks=pytest.mark.slow) for version in VERSIONS[:-1]]


@pytest.fixture(params=[*SELDOM, VERSIONS[-1]])
def old(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Old:
    version = str(request.param)
    folder = write_run_folder(version, tmp_path)
    options: tuple[str, ...] = ()
    if kind == "sqlite":
        url, upgrade = sqlite_url(folder / "database.db"), "headway db upgrade old/1"
    else:
        url = request.getfixturevalue(f"{kind}_url")
        (tmp_path / "url.txt").write_text(url)
        (tmp_path / "url.txt").chmod(0o600)
        options = ("--db_url", "@url.txt")
        upgrade = "headway db upgrade --db_url @url.txt"
    load(version, url, work=tmp_path)
    return Old(work=tmp_path, url=url, version=version, options=options, upgrade=upgrade)


def test_an_older_search_is_refused_upgraded_and_resumed(old: Old) -> None:
    for command in ("status", "trials", "resume"):
        refused = old.headway(command, "old", *old.options)
        assert refused.returncode == 2
        assert refused.stderr.count("\n") == 1
        assert refused.stderr.endswith(f"Bring it up to date: {old.upgrade}\n")
        assert "secret" not in refused.stderr
    done = old.headway(*shlex.split(old.upgrade)[1:])
    assert (done.returncode, done.stderr) == (0, "")
    assert f"the schema is {SCHEMA_VERSION} now" in done.stdout
    before = old.status()
    assert (before["status"], before["completed"], before["failed"]) == ("FINISHED", 3, 1)
    resumed = old.headway("resume", "old", *old.options, "--max_eval", "6")
    assert resumed.returncode == 0, resumed.stderr
    after = old.status()
    assert (after["done"], after["status"]) == (6, "FINISHED")
    assert after["best"]["LOSS"] <= before["best"]["LOSS"]


def test_run_refuses_an_older_database_and_makes_no_folder(old: Old) -> None:
    words = ["--experiment_name", "new", "--parameter", "x", "range", "0", "1", "float"]
    words += ["--max_eval", "1", "--run_program", "echo RESULT: %(x)", "--force_local_execution"]
    refused = old.headway("run", *words, "--db_url", *(old.options[1:] or (old.url,)))
    assert refused.returncode == 2
    assert "headway db upgrade --db_url" in refused.stderr
    assert not (old.work / "runs" / "new").exists()


def test_an_older_database_can_be_looked_at_as_a_whole(old: Old) -> None:
    done = old.headway("db", "info", "old", *old.options, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["schema"], facts["headway_schema"]) == (old.version, SCHEMA_VERSION)
    assert facts["experiments"] == ["old/1"]
    assert facts["rows"]["trial"] == 4
    assert "secret" not in done.stdout


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path


@pytest.fixture
def new(kind: str, request: pytest.FixtureRequest, here: Path) -> Iterator[sa.Engine]:
    """A database of this schema with one experiment of everything, `url.txt` beside."""
    local = sqlite_url(here / "all.db")
    url = local if kind == "sqlite" else request.getfixturevalue(f"{kind}_url")
    (here / "url.txt").write_text(url)
    (here / "url.txt").chmod(0o600)
    engine = connect(url)
    make_rich(engine)
    yield engine
    engine.dispose()


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert database.run("db", list(words)) == 0
    return capsys.readouterr().out


def test_info_tells_system_size_schema_and_rows(
    kind: str, new: sa.Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = json.loads(told(capsys, "info", "--db_url", "@url.txt", "--json"))
    systems = {"sqlite": "sqlite", "postgres": "postgresql", "mysql": "mariadb"}
    assert facts["system"] == systems[kind]
    assert facts["version"].split(".")[0].isdigit()
    assert facts["schema"] == SCHEMA_VERSION
    assert facts["experiments"] == ["rich/1"]
    assert facts["rows"]["trial"] == 8
    assert "alembic_version" not in facts["rows"]
    assert facts["bytes"] > 50_000
    assert (facts["journal"] == "wal") == (kind == "sqlite")
    assert "secret" not in json.dumps(facts)


def test_info_for_people_names_the_rows_of_each_table(
    new: sa.Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = told(capsys, "info", "--db_url", "@url.txt").splitlines()
    assert "experiments     1 (rich/1)" in lines
    assert any(line.split() == ["trial", "8"] for line in lines)


@pytest.mark.parametrize("words", [["@url.txt"], ["--db_url", "@url.txt"], []])
def test_what_is_up_to_date_stays_as_it_is(
    new: sa.Engine,
    words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(VARIABLE, "@url.txt")
    assert told(capsys, "upgrade", *words).startswith(
        f"{label_of(Path('url.txt').read_text())}: the schema is {SCHEMA_VERSION} already; nothing"
    )
    done = json.loads(told(capsys, "upgrade", *words, "--json"))
    assert done == {"before": SCHEMA_VERSION, "after": SCHEMA_VERSION, "copy": None}


@pytest.mark.parametrize("command", ["info", "upgrade", "check"])
def test_help_says_which_database_is_meant_if_none_is_named(command: str) -> None:
    text = " ".join(database.make_parser(command).format_help().split())
    assert "default: the database of --db_url or HEADWAY_DB_URL, else the latest run here" in text
    assert "@FILE with a URL in it" in text


def test_a_living_head_is_named_with_exit_code_5(here: Path) -> None:
    folder = write_run_folder("0001", here)
    url = sqlite_url(folder / "database.db")
    load("0001", url, work=here)
    engine = make_engine(url)
    hold(engine, 30)
    engine.dispose()
    with pytest.raises(HeadAliveError, match=r"head of old/1 uses it: process 4711 on node7"):
        database.run("db", ["upgrade", "old"])


@pytest.mark.parametrize("command", ["info", "upgrade"])
def test_a_database_that_is_not_there_is_named_and_not_made(here: Path, command: str) -> None:
    place = here / "nowhere.db"
    with pytest.raises(UsageError, match=rf"{place}: there is no database file"):
        database.run("db", [command, "--db_url", f"sqlite:///{place}"])
    with pytest.raises(UsageError, match="there is no experiment 'first'"):
        database.run("db", [command, "first"])
    assert list(here.iterdir()) == []


def test_a_server_that_does_not_answer_is_bad_input_without_its_password(here: Path) -> None:
    url = "postgresql://u:s3cr3t@127.0.0.1:1/d"
    with pytest.raises(UsageError, match=r"://u:.*@127.0.0.1:1/d: the database does") as caught:
        database.run("db", ["info", "--db_url", url])
    assert "s3cr3t" not in str(caught.value)


def test_the_head_says_that_its_file_lies_on_a_network_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {tmp_path / "runs": "nfs4", tmp_path / "all.db": "lustre", Path("/tmp"): "ext4"}
    monkeypatch.setattr(notices, "filesystem_type", kinds.__getitem__)
    (said,) = notices.storage_notices(None, tmp_path / "runs")
    assert said.startswith(f"{tmp_path}/runs lies on a network file system (nfs4)")
    (said,) = notices.storage_notices(f"sqlite:///{tmp_path}/all.db", Path("/tmp"))
    assert "(lustre)" in said
    assert notices.storage_notices("postgresql://u@h/d", tmp_path / "runs") == []
    assert notices.storage_notices(None, Path("/tmp")) == []
