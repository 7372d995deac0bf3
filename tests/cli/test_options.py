from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import running
from orchestrator.cli.option_table import GROUPS, LATER
from orchestrator.cli.options import make_parser, read_command_line
from orchestrator.cli.timecodes import CODES, expand, group
from orchestrator.errors import UsageError

ROOT = Path(__file__).parents[2]


def parse(line: str) -> argparse.Namespace:
    settings = read_command_line(shlex.split(line))
    if settings.mistakes:
        raise UsageError("\n".join(settings.mistakes))
    return settings.namespace()


@pytest.mark.parametrize(
    "line", ["--mem-gb 4", "--mem_gb 4", "--mem-gb=4", "--mem_gb=4", "--mem_gb 4.0"]
)
def test_hyphens_underscores_and_equal_signs_all_read(line: str) -> None:
    assert parse(line).mem_gb == 4096


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("--mem_gb 0.5", "mem_gb", 512),
        ("--mem_gb 0.0001", "mem_gb", 1),
        ("--time 60", "time", 3600.0),
        ("--time 1:30", "time", 5400.0),
        ("--time 01:30:30", "time", 5430.0),
        ("--time 2-12:00", "time", 216000.0),
        ("--time 1-0", "time", 86400.0),
        ("--worker_timeout=5", "worker_timeout", 300.0),
        ("--worker_timeout .05", "worker_timeout", 3.0),
        ("--gpus 0", "gpus", 0),
        ("--seed 4294967295", "seed", 4294967295),
        ("--max_failure_rate 0.25", "max_failure_rate", 0.25),
        ("--max-failure-rate 25%", "max_failure_rate", 0.25),
        ("--max_failure_rate 0", "max_failure_rate", 0.0),
        ("--orchestrator-file rules.yaml", "orchestrator_file", "rules.yaml"),
        ("--preflight 'nvidia-smi -L'", "preflight", "nvidia-smi -L"),
        ("--no-auto-exclude", "auto_exclude_defective_hosts", False),
        ("--auto-exclude-defective-hosts", "auto_exclude_defective_hosts", True),
        ("--requeue", "requeue", True),
        ("--follow", "follow", True),
        ("--description '-x y'", "description", "-x y"),
        ("--description=--follow", "description", "--follow"),
        ("--max_eval 3 --max-eval 4", "max_eval", 4),
    ],
)
def test_values_are_read_with_their_units(line: str, name: str, value: object) -> None:
    assert vars(parse(line))[name] == value


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--max_evl", "3"], "resume: there is no option '--max_evl'. Did you mean --max_eval?"),
        (["--max-eval", "0"], "resume: --max_eval: '0' is out of range"),
        (["a", "b"], "resume: one word too many: 'b'"),
    ],
)
def test_resume_names_itself_and_near_misses(words: list[str], expected: str) -> None:
    with pytest.raises(UsageError, match=re.escape(expected)):
        running.run("resume", words)


def test_resume_shows_each_option_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        running.run("resume", ["--help"])
    text = capsys.readouterr().out
    assert "headway resume first --max_eval 40" in text
    assert "--max-eval" not in text


def test_what_is_not_given_is_none_or_empty() -> None:
    given = {name: value for name, value in vars(parse("")).items() if value not in (None, [])}

    assert given == {}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--parameter x range -100 10 int", ["x", "range", "-100", "10", "int"]),
        ("--parameter x range -1e-5 -.5", ["x", "range", "-1e-5", "-.5"]),
        ("--parameter f choice -O2,-O3 --follow", ["f", "choice", "-O2,-O3"]),
        ("--parameter f choice --a,--b", ["f", "choice", "--a,--b"]),
        ("--parameter f fixed 'a b'", ["f", "fixed", "a b"]),
        ("--parameter=x range 0 1", ["x", "range", "0", "1"]),
        ("--parameter 'x range 0 1'", ["x range 0 1"]),
        ("--parameter f fixed ''", ["f", "fixed", ""]),
    ],
)
def test_the_words_of_a_parameter_stay_as_they_are(line: str, words: list[str]) -> None:
    assert parse(line).parameter == [words]


def test_options_of_several_words_can_come_again() -> None:
    namespace = parse("--parameter x range 0 1 --max_eval 3 --parameter y choice a,b")

    assert namespace.parameter == [["x", "range", "0", "1"], ["y", "choice", "a,b"]]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("--mem-bg 3", "--mem_bg: there is no such option. Did you mean --mem_gb?"),
        ("--exp x", "--exp: there is no such option. See headway run --help"),
        ("--max_eva 3", "--max_eva: there is no such option. Did you mean --max_eval?"),
        ("--run_program ./p --zzz=5", "--zzz: there is no such option. Put the whole program"),
        ("--follow=yes", "--follow: takes no value, but 'yes' was given"),
        ("--time", "--time: needs a value"),
        ("--time --follow", "--time: needs a value"),
        ("--parameter --follow", "--parameter: needs a value"),
        ("--max_eval 3 4", "'4' after --max_eval belongs to no option"),
        ("4", "'4' belongs to no option"),
        ("-x", "'-x' belongs to no option"),
        ("--mem_gb x", "--mem_gb: 'x' is not a number of GiB; give for example 4 or 0.5"),
        ("--time 1:90", "--time: '1:90' is not a time"),
        ("--pool 4", "--pool: is not available yet."),
        ("--max_failure_rate 1", "--max_failure_rate: '1' is out of range; give one from 0 to"),
        ("--max_failure_rate 150%", "--max_failure_rate: '150%' is out of range"),
        ("--max_failure_rate half", "--max_failure_rate: 'half' is not a share; give one from 0"),
        ("--preflight nvidia-smi -L", "'-L' after --preflight belongs to no option. Quote"),
        ("--preflight ' '", "--preflight: it is empty"),
        ("--group %Q", "--group: '%Q': %Q is no time code; allowed are %a %A %w"),
        ("--group %Y_%", "--group: '%Y_%' ends in a lone %; write %% for a percent sign"),
        ("--group %-d", "--group: '%-d': %- is no time code"),
        ("--group ''", "--group: it is empty"),
    ],
)
def test_a_wrong_word_is_named_in_one_line(line: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line)

    assert str(caught.value).startswith(text)
    assert "\n" not in str(caught.value)


def test_every_mistake_is_told_and_what_is_right_is_read() -> None:
    settings = read_command_line(shlex.split("stray words --gpus x --mem_bg 3 4 --qos --seed 5"))

    assert settings.mistakes == [
        "'stray' belongs to no option. Quote values that hold spaces.",
        "--mem_bg: there is no such option. Did you mean --mem_gb?",
        "--qos: needs a value",
        "--gpus: 'x' is not a whole number; give one, from 0 to 10000",
    ]
    assert (settings.spoiled, settings.is_partial) == ({"gpus", "qos"}, True)
    assert settings.namespace().seed == 5


def test_what_comes_last_counts_also_of_two_opposites() -> None:
    assert parse("--no_auto_exclude --auto_exclude_defective_hosts").auto_exclude_defective_hosts
    given = parse("--auto_exclude_defective_hosts --no_auto_exclude")
    assert given.auto_exclude_defective_hosts is False


def test_the_help_names_every_option_with_its_group(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse("--help")

    shown = capsys.readouterr().out
    assert caught.value.code == 0
    for title, options in GROUPS.items():
        assert f"{title}:" in shown
        assert all(f"--{option.name}" in shown for option in options)
    assert "examples:" in shown


def test_the_help_is_readable_in_colours_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)

    assert "--experiment_name" in make_parser().format_help()


def test_no_option_is_both_there_and_promised_for_later() -> None:
    there = {option.name for options in GROUPS.values() for option in options}

    assert not there & set(LATER)


def test_reading_options_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import orchestrator.cli.options; "
        "print(sorted({'pydantic', 'rich', 'yaml', 'sqlalchemy', 'numpy'} & set(sys.modules)))"
    )
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [sys.executable, "-I", "-c", code, str(ROOT)], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


def test_the_defaults_in_the_help_are_the_ones_in_use() -> None:
    shown: dict[str, Any] = {
        option.name: option.help for options in GROUPS.values() for option in options
    }

    assert "(default: 1)" in shown["retries"]
    assert "20 on Slurm" in shown["num_parallel_jobs"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("sweep_%Y_%U_%a", "sweep_2030_00_Wed"),
        ("%d.%m.%y %H:%M", "02.01.30 23:04"),
        ("100%% %%Y", "100% %Y"),
        ("plain", "plain"),
    ],
)
def test_time_codes_in_a_group_stand_for_the_time_of_the_start(given: str, kept: str) -> None:
    asked = parse(f"--group '{given}'").group

    assert asked == given
    assert expand(asked, datetime(2030, 1, 2, 23, 4, tzinfo=UTC)) == kept


@pytest.mark.parametrize("code", CODES)
def test_every_time_code_that_is_allowed_works(code: str) -> None:
    shown = expand(group(f"x%{code}"), datetime(2030, 1, 2, tzinfo=UTC))

    assert shown == "x%" if code == "%" else "%" not in shown
