"""Options that choose and sort what list, trials, hosts and compare tell."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from db.sql import tables
from db.states import AttemptState, ExperimentStatus, FailureClass, HostState, TrialStatus
from orchestrator.cli.commands import dispatch
from orchestrator.errors import UsageError
from tests.reports.searches import BEGIN, Search, fill, local_search

Told = Callable[..., Any]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Return what a command says to programs."""

    def ask(*words: str) -> Any:
        dispatch([*words, "--json"])
        return json.loads(capsys.readouterr().out)

    return ask


@pytest.fixture
def several(here: Path) -> Iterator[None]:
    """Four searches: net-a, net-b (ended first), other, and a second run of other."""
    made = [local_search(here / "runs", name=name) for name in ("net-a", "net-b", "other")]
    made.append(local_search(here / "runs", name="other", run_number=2))
    fill(made[0])
    made[1].end(ExperimentStatus.FINISHED)
    made[2].end(ExperimentStatus.STOPPED, "asked to")
    yield
    for search in made:
        search.engine.dispose()


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ["net-a/1", "net-b/1", "other/1", "other/2"]),
        (("net-*",), ["net-a/1", "net-b/1"]),
        (("other", "net-b"), ["net-b/1", "other/1", "other/2"]),
        (("--status", "finished,stopped"), ["net-b/1", "other/1"]),
        (("--status", "running", "--reverse"), ["other/2", "net-a/1"]),
        (("--sort", "completed", "--reverse", "--limit", "1"), ["net-a/1"]),
        (("--sort", "run", "--reverse", "--limit", "1"), ["other/2"]),
        (("nothing*",), []),
    ],
)
def test_list_is_filtered_sorted_and_limited(
    told: Told, words: tuple[str, ...], expected: list[str]
) -> None:
    assert [f"{row['name']}/{row['run']}" for row in told("list", *words)] == expected


@pytest.mark.usefixtures("several")
def test_what_has_no_value_comes_last_either_way(told: Told) -> None:
    for more in ([], ["--reverse"]):
        rows = told("list", "--sort", "ended_at", *more)
        assert [row["ended_at"] is None for row in rows] == [False, False, True, True]


def enrich(search: Search) -> None:
    """Let trial 4 fail otherwise on another host, and trial 7 come from a model."""
    search.attempt(5, 3, AttemptState.FAILED, host="fat1", failure_class=FailureClass.OUT_OF_MEMORY)
    model = search.insert(
        tables.Generation,
        experiment_id=search.id,
        number=4,
        node=1,
        generator="TPE",
        seed=1,
        requested=1,
        produced=1,
        created_at=BEGIN,
    )
    trial = tables.table_of(tables.Trial)
    search.execute(sa.update(trial).where(trial.c.index == 7).values(generation_id=model))
    attempt = tables.table_of(tables.Attempt)
    slow = sa.update(attempt).where(attempt.c.trial_id == 3)
    search.execute(slow.values(measured={"wall_seconds": 99.5}))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--host", "node[2-3]"), [1, 2]),
        (("--host", "node5"), [4]),
        (("--host", "fat1"), [4]),
        (("--failure", "program"), [4]),
        (("--failure", "out-of-memory,node"), [4]),
        (("--failure", "preempted"), []),
        (("--generator", "tpe"), [7]),
        (("--generator", "SOBOL", "--status", "running"), [5, 6]),
        (("--sort", "run_seconds", "--reverse", "--limit", "1"), [2]),
        (("--sort", "attempts", "--reverse", "--limit", "1"), [4]),
        (("--sort", "host", "--limit", "2"), [4, 0]),
        (("--sort", "exit_code", "--reverse", "--limit", "1"), [4]),
    ],
)
def test_trials_are_chosen_by_host_failure_and_generator(
    search: Search, told: Told, words: tuple[str, ...], expected: list[int]
) -> None:
    enrich(search)
    assert [row["trial"] for row in told("trials", *words)] == expected


def test_hosts_are_filtered_sorted_and_limited(search: Search, told: Told) -> None:
    times = {"first_seen_at": BEGIN, "changed_at": BEGIN}
    search.insert(tables.Host, cluster="", name="node3", state=HostState.SUSPECT, **times)

    def names(*words: str) -> list[str]:
        return [row["host"] for row in told("hosts", "demo", *words)]

    assert names()[:2] == ["node3", "node5"]
    assert names("--state", "suspect,excluded") == ["node3"]
    assert names("--state", "good", "--sort", "failed", "--reverse", "--limit", "1") == ["node5"]
    assert names("--sort", "host", "--limit", "2") == ["node1", "node2"]


@pytest.mark.usefixtures("several")
def test_searches_side_by_side_are_sorted(told: Told) -> None:
    rows = told("compare", "net-b", "net-a", "--sort", "completed", "--reverse")["experiments"]
    assert [row["experiment"] for row in rows] == ["net-a/1", "net-b/1"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["list", "--status", "runing"], "--status: 'runing' is no status: failed, finished"),
        (["list", "--status", "runing"], "Did you mean running?"),
        (["list", "--sort", "size"], "--sort: 'size' is no column to sort by: name, run"),
        (["list", "--limit", "0"], "list: --limit: '0' is out of range"),
        (["trials", "--failure", "memory"], "--failure: 'memory' is no class of failures: "),
        (["trials", "--host", "node["], "--host: 'node['"),
        (["trials", "--sort", "run_second"], "Did you mean run_seconds?"),
        (["hosts", "--state", "bad"], "--state: 'bad' is no state of a host: excluded, good"),
        (["hosts", "--sort", "name"], "--sort: 'name' is no column"),
        (["compare", "demo/1", "demo/1", "--sort", "hours"], "demo/1 is there twice"),
    ],
)
def test_a_word_that_is_not_known_is_answered_in_one_line(
    search: Search, words: list[str], expected: str
) -> None:
    with pytest.raises(UsageError) as caught:
        dispatch(words)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_choice_says_that_there_are_others(
    search: Search, capsys: pytest.CaptureFixture[str]
) -> None:
    search.trial(8, TrialStatus.COMPLETED, 1.0)
    for words, said in (
        (["list", "zzz"], "no such experiment among the 1 in "),
        (["trials", "--host", "zzz"], "There is no such trial."),
        (["hosts", "demo", "--state", "excluded"], "No host of demo/1 is in such a state."),
    ):
        dispatch(words)
        assert said in capsys.readouterr().out


@pytest.mark.usefixtures("several")
def test_hyphens_and_underscores_mean_the_same(told: Told) -> None:
    assert told("list", "--run-dir", "runs") == told("list", "--run_dir=runs")
