"""Where options come from: command line over environment over file over profile over default."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.cli.places import runs_root
from orchestrator.cli.requests import RunRequest, read_request
from orchestrator.cli.sources import read_sources
from orchestrator.errors import UsageError
from tests.main_job.runs import Place

BASE = (
    *("--experiment_name", "t", "--max_eval", "9", "--parameter", "x", "range", "0", "1"),
    *("--run_program", "./p $x", "--seed", "1"),
)


def request(cwd: Path, *words: str, **environment: str) -> RunRequest:
    sources = read_sources([*BASE, *words], environment, cwd)
    return read_request(sources, cwd, has_slurm=lambda: True)


@pytest.fixture
def profile(tmp_path: Path) -> dict[str, str]:
    """A profile of the user's own, and the environment in which it is found."""
    folder = tmp_path / "config" / "headway" / "profiles"
    folder.mkdir(parents=True)
    (folder / "ours.yaml").write_text("account: a0\nqos: q0\ngpus: 4\nmem_gb: 1\nsetup: [m0]\n")
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


def test_each_source_counts_before_the_next(tmp_path: Path, profile: dict[str, str]) -> None:
    (tmp_path / "c.yaml").write_text("profile: ours\naccount: a1\nqos: q1\ngpus: 3\nsetup: m1\n")
    environment = {**profile, "HEADWAY_ACCOUNT": "a2", "HEADWAY_QOS": "q2"}
    asked = request(tmp_path, "--config_yaml", "c.yaml", "--account", "a3", **environment)
    wanted = asked.spec.resources

    assert (wanted.account, wanted.qos, wanted.gpus, wanted.memory_mb) == ("a3", "q2", 3, 1024)
    assert (wanted.cpus, wanted.partition) == (1, None)
    assert asked.spec.site.setup == ("m0", "m1")
    assert asked.spec.site.profile == "ours"


def test_a_mistake_in_any_source_is_told_with_its_place(
    tmp_path: Path, profile: dict[str, str]
) -> None:
    path = tmp_path / "config" / "headway" / "profiles" / "ours.yaml"
    path.write_text("gpus: -1\naccount: a\n")
    (tmp_path / "c.yaml").write_text("profile: ours\ncpus_per_task: 0\n")
    with pytest.raises(UsageError) as caught:
        request(
            tmp_path,
            *("--config_yaml", "c.yaml", "--nodes_per_job", "0"),
            **{**profile, "HEADWAY_MEM_GB": "4GB", "HEADWAY_FOLLOW": "2"},
        )

    assert [line.split(": ")[:-1] for line in sorted(str(caught.value).splitlines())] == [
        ["--nodes_per_job"],
        [f"{path}:1", "gpus"],
        ["HEADWAY_FOLLOW"],
        ["HEADWAY_MEM_GB"],
        ["c.yaml:2", "cpus_per_task"],
    ]


def test_what_a_check_finds_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("exclude: n[3-1]\nnum_random_steps: 3\n")
    with pytest.raises(UsageError) as caught:
        request(tmp_path, "--config_yaml", "c.yaml", HEADWAY_MODEL="TPF", HEADWAY_RUN_DIR="~no/x")

    found = dict(line.split(": ", maxsplit=1) for line in str(caught.value).splitlines())
    assert set(found) == {"c.yaml:1", "HEADWAY_MODEL TPF", "HEADWAY_RUN_DIR"}
    assert found["c.yaml:1"].startswith("exclude: 'n[3-1]'")


def test_an_unknown_option_is_no_reason_to_call_another_one_missing(tmp_path: Path) -> None:
    words = [word for word in BASE if word not in {"--max_eval", "9"}]
    sources = read_sources([*words, "--max_evl", "9"], {}, tmp_path)
    with pytest.raises(UsageError) as caught:
        read_request(sources, tmp_path, has_slurm=lambda: False)

    assert str(caught.value) == "--max_evl: there is no such option. Did you mean --max_eval?"


VARIABLES = {
    "HEADWAY_EXPERIMENT_NAME": "t",
    "HEADWAY_MAX_EVAL": "9",
    "HEADWAY_PARAMETER": "x range 0 1\n y choice a,b\n",
    "HEADWAY_EXPERIMENT_CONSTRAINTS": "x <= 0.5\nx >= 0.1",
    "HEADWAY_RUN_PROGRAM": "./p '$x' $y",
    "HEADWAY_RESULT_NAMES": "LOSS=min 'SPEED=max'",
    "HEADWAY_METADATA": "'a=b c' d=e",
    "HEADWAY_SETUP": "module load Python\nexport A=1",
    "HEADWAY_REQUEUE": "yes",
    "HEADWAY_AUTO_EXCLUDE_DEFECTIVE_HOSTS": "0",
    "HEADWAY_QOS": "",
}


def test_variables_hold_one_option_each(tmp_path: Path) -> None:
    sources = read_sources([], VARIABLES, tmp_path)
    spec = read_request(sources, tmp_path, has_slurm=lambda: True).spec

    assert spec.space.names() == ["x", "y"]
    assert [c.text for c in spec.space.constraints] == ["x <= 0.5", "x >= 0.1"]
    assert [str(each) for each in spec.objectives] == ["LOSS=min", "SPEED=max"]
    assert spec.user_metadata == {"a": "b c", "d": "e"}
    assert spec.site.setup == ("module load Python", "export A=1")
    assert (spec.resources.requeue, spec.auto_exclude, spec.resources.qos) == (True, False, None)


def test_a_search_within_a_trial_takes_none_of_its_variables_for_options(tmp_path: Path) -> None:
    trials = {"HEADWAY_SNAPSHOT": "/no/such", "HEADWAY_PARAM_x": "1", "HEADWAY_TRIAL": "3"}
    asked = request(tmp_path, **trials)

    assert asked.spec.snapshot == ()
    assert asked.notices == ()


def test_a_variable_that_is_nearly_an_option_is_said(tmp_path: Path) -> None:
    (said,) = request(tmp_path, HEADWAY_MEMGB="4").notices

    assert said.startswith("HEADWAY_MEMGB: no option has this name")
    assert said.endswith("Did you mean mem_gb?")


def test_a_variable_that_cannot_be_taken_apart_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        request(tmp_path, HEADWAY_METADATA="a='b")

    assert str(caught.value).startswith('HEADWAY_METADATA: "a=\'b" is not understood')


def test_lists_of_two_sources_are_not_mixed_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("parameter: {y: range 0 1}\ndescription: d\n")
    asked = request(tmp_path, "--config_yaml", "c.yaml")

    assert asked.spec.space.names() == ["x"]
    assert asked.spec.description == "d"
    said = "parameter of c.yaml: does not count, since --parameter is given"
    assert asked.notices == (said,)


def test_a_file_may_name_the_database(tmp_path: Path) -> None:
    url = "postgresql://u:secret@h/d"
    (tmp_path / "c.yaml").write_text(f"db_url: {url}\n")
    (tmp_path / "c.yaml").chmod(0o644)
    asked = request(tmp_path, "--config_yaml", "c.yaml")
    hidden = request(tmp_path, "--config_yaml", "c.yaml", HEADWAY_DB_URL="postgresql://v@h/e")

    assert asked.db_url == url
    assert asked.notices[0].startswith("c.yaml:1: db_url: others can read it")
    assert (hidden.db_url, hidden.notices) == ("postgresql://v@h/e", ())


def test_the_variable_for_the_folder_of_runs_holds_for_all_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWAY_RUN_DIR", str(tmp_path / "elsewhere"))

    assert request(tmp_path, **os.environ).run_root == tmp_path / "elsewhere"
    assert runs_root(None) == tmp_path / "elsewhere"
    assert runs_root(str(tmp_path)) == tmp_path


def test_a_whole_search_comes_from_a_file_and_the_environment(tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_text(
        "experiment_name: filed\nmax_eval: 50\nparameter:\n  x: range 0 1\n"
        "run_program: 'echo RESULT: $x'\nforce_local_execution: true\nmodel: SOBOL\n"
    )
    place = Place(tmp_path, {"HEADWAY_NUM_PARALLEL_JOBS": "2"})
    place.run("run", "--config_yaml", "search.yaml", "--max_eval", "3")

    assert len(place.results("filed")) == 3
    spec = place.folder / "runs" / "filed" / "1" / "spec.json"
    assert '"num_parallel_jobs": 2' in spec.read_text()
