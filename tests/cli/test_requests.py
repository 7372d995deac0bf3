from __future__ import annotations

import base64
import os
import shlex
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest

from orchestrator.cli.requests import RunRequest, read_request
from orchestrator.cli.sources import read_sources
from orchestrator.errors import UsageError
from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.spec.strategy import default_random_steps

BASE = "--experiment_name t --max_eval 10 --run_program './p $x' --parameter x range 0 1 "
# The command of OmniOpt2's page on its database, without the program's name.
OMNIOPT = r"""
    --live_share
    --send_anonymized_usage_stats
    --partition alpha
    --experiment_name ExampleDatabase
    --mem_gb=4
    --time 60
    --worker_timeout=5
    --max_eval 4
    --num_parallel_jobs 2
    --gpus 0
    --run_program Li8udGVzdHMvb3B0aW1pemF0aW9uX2V4YW1wbGUgIC0taW50X3BhcmFtPSclKGludF9wYXJhbSknIC0tZmxvYXRfcGFyYW09JyUoZmxvYXRfcGFyYW0pJyAtLWNob2ljZV9wYXJhbT0nJShjaG9pY2VfcGFyYW0pJyAtLWludF9wYXJhbV90d289JyUoaW50X3BhcmFtX3R3byknIC0tbnJfcmVzdWx0cz0x
    --parameter int_param range -100 10 int
    --parameter float_param range -100 10 float
    --parameter choice_param choice 1,2,4,8,16,hallo
    --parameter int_param_two range -100 10 int
    --num_random_steps 2
    --model TPE
    --auto_exclude_defective_hosts
    --generate_all_jobs_at_once
    --follow
    --experiment_constraints MjAqaW50X3BhcmFtID49IDEwMAo=
    --show_generate_time_table
"""


def request(
    line: str,
    cwd: Path,
    *,
    slurm: bool = False,
    environment: Mapping[str, str] | None = None,
) -> RunRequest:
    sources = read_sources(shlex.split(line), environment or {}, cwd)
    return read_request(sources, cwd, has_slurm=lambda: slurm)


def test_the_example_of_omniopt2_is_understood(tmp_path: Path) -> None:
    asked = request(OMNIOPT, tmp_path, slurm=True)
    spec = asked.spec

    assert spec.name == "ExampleDatabase"
    assert spec.program == (
        "./.tests/optimization_example  --int_param='%(int_param)' "
        "--float_param='%(float_param)' --choice_param='%(choice_param)' "
        "--int_param_two='%(int_param_two)' --nr_results=1"
    )
    assert spec.space.names() == ["int_param", "float_param", "choice_param", "int_param_two"]
    assert [c.coefficients for c in spec.space.constraints] == [{"int_param": -20.0}]
    assert str(spec.strategy) == "SOBOL=2, TPE"
    assert (spec.executor, spec.num_parallel_jobs, spec.max_eval) == ("slurm", 2, 4)
    assert (spec.resources.partition, spec.resources.memory_mb) == ("alpha", 4096)
    assert (spec.worker_timeout_seconds, spec.time_limit_seconds) == (300, 3600)
    assert asked.options.follow
    assert asked.options.show_generate_time_table


def test_each_service_that_does_not_exist_says_what_happens_instead(tmp_path: Path) -> None:
    said = request(OMNIOPT, tmp_path, slurm=True).notices

    options = [line.split(":")[0] for line in said]
    assert options == [
        "--live_share",
        "--send_anonymized_usage_stats",
        "--generate_all_jobs_at_once",
    ]
    assert "headway follow ExampleDatabase" in said[0]


def test_a_plain_request_has_nothing_to_be_said_about_it(tmp_path: Path) -> None:
    asked = request(BASE, tmp_path)

    assert asked.notices == ()
    assert asked.db_url is None
    assert asked.run_root == tmp_path / "runs"
    assert asked.spec.working_folder == str(tmp_path)
    assert asked.spec.executor == "local"
    assert asked.spec.num_parallel_jobs == len(os.sched_getaffinity(0))
    assert asked.spec.retries == 1
    assert asked.spec.strategy.nodes[0].num_trials == default_random_steps(
        free_parameters=1, max_eval=10
    )
    assert not list(tmp_path.iterdir())


def test_slurm_kills_a_trial_only_after_its_worker_had_time_to_report(tmp_path: Path) -> None:
    resources = request(BASE + "--worker_timeout 5", tmp_path, slurm=True).spec.resources
    long = request(
        BASE + "--worker_timeout 5 --timing grace_seconds=300", tmp_path, slurm=True
    ).spec.resources

    assert resources.minutes == 7
    assert long.minutes == 12
    assert request(BASE, tmp_path, slurm=True).spec.resources.minutes is None


def test_hosts_to_exclude_are_read_name_by_name(tmp_path: Path) -> None:
    resources = request(BASE + "--exclude 'n[1,3], m2'", tmp_path, slurm=True).spec.resources

    assert resources.exclude == ("n1", "n3", "m2")


def test_slurm_starts_jobs_again_only_if_that_is_asked_for(tmp_path: Path) -> None:
    assert not request(BASE, tmp_path, slurm=True).spec.resources.requeue
    assert request(BASE + "--requeue", tmp_path, slurm=True).spec.resources.requeue
    (said,) = request(BASE + "--requeue", tmp_path).notices
    assert said.startswith("--requeue: no effect")


def test_a_seed_is_drawn_and_kept(tmp_path: Path) -> None:
    drawn = {request(BASE, tmp_path).spec.seed for _ in range(3)}

    assert len(drawn) > 1
    assert request(BASE + "--seed 0", tmp_path).spec.seed == 0


def test_the_program_and_the_constraints_may_come_in_base64(tmp_path: Path) -> None:
    program = base64.b64encode(b"./p '%(x)' '%(y)'").decode()
    constraint = base64.b64encode(b"x + y <= 1; x >= 0.25\n").decode()
    line = (
        f"--experiment_name t --max_eval 3 --run_program {program} --parameter x range 0 1 "
        f"--parameter y range 0 1 --experiment_constraints {constraint} 'y < x'"
    )
    spec = request(line, tmp_path).spec

    assert spec.program == "./p '%(x)' '%(y)'"
    assert [c.text for c in spec.space.constraints] == ["x + y <= 1", "x >= 0.25", "y < x"]


def test_a_program_of_several_words_is_one_text(tmp_path: Path) -> None:
    line = "--experiment_name t --max_eval 3 --parameter x range 0 1 --run_program ./p -n {x} 2"

    assert request(line, tmp_path).spec.program == "./p -n {x} 2"


def test_an_explicit_strategy_takes_aliases_and_says_what_it_makes_useless(
    tmp_path: Path,
) -> None:
    asked = request(BASE + "--generation_strategy pseudorandom=2,MOTPE --model TPE", tmp_path)

    assert str(asked.spec.strategy) == "UNIFORM=2, TPE"
    assert asked.notices == ("--model: no effect beside --generation_strategy",)


@pytest.mark.parametrize(
    ("more", "start"),
    [
        ("--parameter y range 0 1", "--parameter y: the program's text does not use it"),
        ("--num_random_steps 10 --model TPE", "--num_random_steps 10: all of the 10 trials are"),
        ("--partition a --mem_gb 4 --force_local_execution", "--partition, --mem_gb: no effect"),
        ("--mem_gb 4", "--mem_gb: no effect"),
    ],
)
def test_what_may_surprise_is_said(more: str, start: str, tmp_path: Path) -> None:
    assert request(BASE + more, tmp_path).notices[0].startswith(start)


def test_a_parameter_that_is_read_from_the_environment_is_used(tmp_path: Path) -> None:
    line = BASE.replace("./p $x", "./p $HEADWAY_PARAM_x")

    assert request(line, tmp_path).notices == ()


def test_a_space_with_too_few_points_is_said(tmp_path: Path) -> None:
    line = BASE.replace("x range 0 1", "x range 0 4 int")

    assert request(line, tmp_path).notices == (
        "--max_eval 10: the space has only 5 different points; some will repeat",
    )


def test_slurm_is_not_asked_where_everything_is_to_run_here(tmp_path: Path) -> None:
    def never() -> bool:
        raise AssertionError("asked for Slurm")

    sources = read_sources(shlex.split(BASE + "--force_local_execution"), {}, tmp_path)

    assert read_request(sources, tmp_path, has_slurm=never).spec.executor == "local"


URL = "postgresql://user:secret@127.0.0.1/name"


def test_a_database_can_be_named_by_option_variable_and_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{URL}\n")
    (tmp_path / "url").chmod(0o600)
    by_option = request(BASE + f"--db_url {URL}", tmp_path)
    by_file = request(BASE + "--db_url @url", tmp_path)
    by_variable = request(BASE, tmp_path, environment={"HEADWAY_DB_URL": URL})
    by_variable_and_file = request(BASE, tmp_path, environment={"HEADWAY_DB_URL": "@url"})

    for asked in (by_option, by_file, by_variable, by_variable_and_file):
        assert asked.db_url == URL
        assert "secret" not in repr(asked)
        assert "secret" not in asked.spec.to_json()
    assert by_file.notices == by_variable.notices == ()
    assert "ps shows its password" in by_option.notices[0]


def test_a_password_that_others_can_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(URL)
    (tmp_path / "url").chmod(0o644)

    assert "chmod 600" in request(BASE + "--db_url @url", tmp_path).notices[0]


@pytest.mark.parametrize("content", ["", "a\nb", "nonsense"])
def test_a_file_that_holds_no_url_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(content)

    with pytest.raises(UsageError, match="--db_url"):
        request(BASE + "--db_url @url", tmp_path)


def test_the_whole_request_is_json_but_for_the_secret(tmp_path: Path) -> None:
    spec = request(BASE + "--metadata a=1 b=x=y --group g", tmp_path).spec

    assert spec.user_metadata == {"a": "1", "b": "x=y"}
    assert ExperimentSpec.from_json(spec.to_json()) == spec


def test_a_group_is_named_by_the_local_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No zone of the world, so that no other clock says the same.
    monkeypatch.setenv("TZ", "XYZ-13:45")
    time.tzset()
    try:
        before = datetime.now().astimezone()
        spec = request(BASE + "--group w_%d_%H_%M", tmp_path).spec
        after = datetime.now().astimezone()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert spec.group in {f"w_{moment:%d_%H_%M}" for moment in (before, after)}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("a", "--metadata: 'a' is not of the form KEY=VALUE"),
        ("=1", "--metadata: '=1' is not of the form KEY=VALUE"),
        ("' =1'", "--metadata: ' =1' is not of the form KEY=VALUE"),
        ("a=1 --metadata a=2", "--metadata: 'a' is there twice"),
    ],
)
def test_metadata_are_keys_with_a_text(given: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        request(BASE + f"--metadata {given}", tmp_path)

    assert str(caught.value) == said
    kept = request(BASE + "--metadata n=007 e= 'k=a b'", tmp_path).spec.user_metadata
    assert kept == {"n": "007", "e": "", "k": "a b"}


RULES = """\
errors:
  - name: dead_gpu
    match_strings: ["Xid"]
    behavior: ExcludeNode
  - name: licence
    exit_codes: 7
    behavior: RestartOnDifferentNode
"""


def test_rules_preflight_and_limits_become_part_of_the_spec(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    line = "--orchestrator_file rules.yaml --preflight ' test -d /data ' --max_failure_rate 30%"
    asked = request(BASE + line, tmp_path, slurm=True)

    assert [rule.name for rule in asked.spec.rules] == ["dead_gpu", "licence"]
    assert asked.spec.rules[1].exit_codes == (7,)
    assert asked.spec.preflight == "test -d /data"
    assert asked.spec.max_failure_rate == 0.3
    assert asked.notices == ()
    assert ExperimentSpec.from_json(asked.spec.to_json()) == asked.spec


@pytest.mark.parametrize(
    ("more", "is_slurm", "why"),
    [
        ("--no_auto_exclude", True, "with --no_auto_exclude"),
        ("", False, "since the trials run on this machine alone"),
    ],
)
def test_rules_that_can_keep_no_host_out_are_said(
    tmp_path: Path, more: str, is_slurm: bool, why: str
) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    line = BASE + f"--orchestrator_file rules.yaml {more}"

    (said,) = request(line, tmp_path, slurm=is_slurm).notices
    assert said == f"--orchestrator_file: dead_gpu: no host is kept out, {why}"


def test_each_mistake_in_a_rules_file_is_a_line_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES.replace("ExcludeNode", "ExcludNode").replace("7", "700"))
    with pytest.raises(UsageError) as caught:
        request(BASE + f"--orchestrator_file {path}", tmp_path)

    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{path}:4: behavior: 'ExcludNode' is none of ExcludeNode, ")
    assert second.startswith(f"{path}:6: exit_codes: ")
