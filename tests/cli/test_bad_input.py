"""Bad input: one line that names the option, exit 2, nothing created, no traceback."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from orchestrator.cli import main
from orchestrator.cli.requests import read_request
from orchestrator.cli.sources import read_sources
from orchestrator.errors import UsageError
from orchestrator.spec.experiment import Timing
from tests.cluster.slurm import PrivateSlurm

HEADWAY = Path(__file__).parents[2] / "headway.py"
BASE = {
    "experiment_name": ["first"],
    "max_eval": ["4"],
    "parameter": ["x", "range", "0", "10"],
    "run_program": ["./p '%(x)'"],
}


class Case(NamedTuple):
    """A base command line with some options changed, and words that the error must hold."""

    what: str
    changes: dict[str, list[str] | None]
    parts: tuple[str, ...]
    more: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """The command line; an option that was changed to None is left out."""
        lists = {**BASE, **self.changes}
        options = [[f"--{name}", *words] for name, words in lists.items() if words is not None]
        return [*(word for words in options for word in words), *self.more]


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


CASES = [
    Case("unknown option", {"mem_bg": ["4"]}, ("--mem_bg", "Did you mean --mem_gb?")),
    Case("abbreviated option", {"experiment": ["4"]}, ("--experiment", "no such option")),
    Case("option of a later version", {"pool": ["4"]}, ("--pool", "not available yet")),
    Case("stray word", {}, ("'stray'", "--retries"), ("--retries", "1", "stray")),
    Case("option without its value", {}, ("--seed", "needs a value"), ("--seed",)),
    Case("flag with a value", {}, ("--follow", "takes no value"), ("--follow=1",)),
    Case("more after a database", {"db_url": ["sqlite:///a", "secret"]}, ("--db_url", "one word")),
    Case("account of two lines", {"account": ["a\n#SBATCH --x"]}, ("--account", "one line")),
    Case("no program", {"run_program": None}, ("--run_program", "missing")),
    Case("empty program", {"run_program": [" "]}, ("--run_program", "empty")),
    Case("two programs", {}, ("--run_program", "2 times"), ("--run_program", "b")),
    Case("unknown placeholder", {"run_program": ["p %(xx)"]}, ("%(xx)", "Did you mean x?")),
    Case("it in base64", {"run_program": [packed("./p '%(lr)'")]}, ("--run_program", "%(lr)")),
    Case("base64 cut off", {"experiment_constraints": [packed("x <= 11")[:-3]]}, ("comparison",)),
    Case("no name", {"experiment_name": None}, ("--experiment_name", "missing")),
    Case("empty name", {"experiment_name": [""]}, ("--experiment_name", "empty")),
    Case("name with slash", {"experiment_name": ["a/b"]}, ("--experiment_name", "'a/b'")),
    Case("name of dots", {"experiment_name": [".."]}, ("--experiment_name", "'..'")),
    Case("no number of trials", {"max_eval": None}, ("--max_eval", "missing")),
    Case("no trials", {"max_eval": ["0"]}, ("--max_eval", "'0'", "1 or more")),
    Case("no parameter", {"parameter": None}, ("--parameter", "missing")),
    Case("range backwards", {"parameter": ["x", "range", "10", "0"]}, ("--parameter x", "low")),
    Case("log of 0", {"parameter": ["x", "range", "0", "1", "LOG", "true"]}, ("x:", "above 0")),
    Case("wrong kind", {"parameter": ["x", "rnage", "0", "1"]}, ("Did you mean range?",)),
    Case("wrong type", {"parameter": ["x", "range", "0", "1", "itn"]}, ("--parameter x", "'itn'")),
    Case("fraction as int", {"parameter": ["x", "range", "0", "1.5", "int"]}, ("'1.5'", "whole")),
    Case("choice twice", {"parameter": ["x", "choice", "a,b,a"]}, ("--parameter x", "'a'")),
    Case("fixed without value", {"parameter": ["x", "fixed"]}, ("--parameter x", "value")),
    Case("parameter twice", {}, ("--parameter x", "twice"), ("--parameter", "x", "fixed", "1")),
    Case("name no name", {"parameter": ["a-b", "fixed", "1"]}, ("--parameter", "'a-b'")),
    Case("unknown name", {"experiment_constraints": ["y < 1"]}, ("--experiment_con", "'y'")),
    Case("constants only", {"experiment_constraints": ["1 > 2"]}, ("--experiment_con", "const")),
    Case("never true", {"experiment_constraints": ["x > 11"]}, ("--experiment_con", "never")),
    Case("contradiction", {"experiment_constraints": ["x > 6; x < 5"]}, ("--experiment_c", "no p")),
    Case("code", {"experiment_constraints": ["exit(x) < 5"]}, ("--experiment_constraints", "only")),
    Case("unknown model", {"model": ["TPF"]}, ("--model", "TPF", "Did you mean TPE?")),
    Case("unknown step", {"generation_strategy": ["SOBOL=2,TPF"]}, ("--generation_strategy",)),
    Case("steps unreadable", {"generation_strategy": ["SOBOL=,TPE"]}, ("--generation_str", "'S")),
    Case("random steps below 0", {"num_random_steps": ["-1"]}, ("--num_random_steps", "'-1'")),
    Case("seed a word", {"seed": ["abc"]}, ("--seed", "'abc'")),
    Case("nothing parallel", {"num_parallel_jobs": ["0"]}, ("--num_parallel_jobs", "'0'")),
    Case("time unreadable", {"time": ["1:99"]}, ("--time", "'1:99'", "HH:MM")),
    Case("trial beyond time", {"time": ["5"], "worker_timeout": ["6"]}, ("--worker_timeout",)),
    Case("timeout 0", {"worker_timeout": ["0"]}, ("--worker_timeout", "'0'")),
    Case("negative memory", {"mem_gb": ["-4"]}, ("--mem_gb", "'-4'")),
    Case("memory a word", {"mem_gb": ["4GB"]}, ("--mem_gb", "'4GB'", "GiB")),
    Case("negative GPUs", {"gpus": ["-1"]}, ("--gpus", "'-1'")),
    Case("no CPUs", {"cpus_per_task": ["0"]}, ("--cpus_per_task", "'0'")),
    Case("partition without Slurm", {"partition": ["alpha"]}, ("--partition", "no Slurm here")),
    Case("result twice", {"result_names": ["A", "A=max"]}, ("--result_names", "'A'")),
    Case("wrong direction", {"result_names": ["A=mxa"]}, ("--result_names", "Did you mean max?")),
    Case("result like a metric", {"result_names": ["METRIC"]}, ("--result_names", "'METRIC'")),
    Case("result and parameter", {"result_names": ["x"]}, ("--result_names", "'x'", "both")),
    Case("rules missing", {"orchestrator_file": ["no.yaml"]}, ("--orchestrator_file", "no.yaml")),
    Case("rules of nobody", {"orchestrator_file": ["~nouser/r"]}, ("--orchestrator_file", "home")),
    Case("rules no rules", {"orchestrator_file": [__file__]}, ("test_bad_input.py:", "")),
    Case("all may fail", {"max_failure_rate": ["1"]}, ("--max_failure_rate", "'1'", "below 1")),
    Case("no preflight", {"preflight": [""]}, ("--preflight", "empty")),
    Case("no list of hosts", {"exclude": ["n[3-1]"]}, ("--exclude", "'n[3-1]'", "ends before")),
    Case("metadata no pair", {"metadata": ["a"]}, ("--metadata", "'a'", "KEY=VALUE")),
    Case("unknown timing", {"timing": ["hearbeat_seconds=1"]}, ("--timing", "mean heart")),
    Case("database no URL", {"db_url": ["nonsense"]}, ("--db_url", "'nonsense'")),
    Case("database unknown", {"db_url": ["mongo://u:secret@h/d"]}, ("--db_url", "'mongo'")),
    Case("database file missing", {"db_url": ["@nofile"]}, ("--db_url", "nofile")),
    Case("database of nobody", {"db_url": ["@~nouser/url"]}, ("--db_url", "'~nouser/url'", "home")),
    Case("database too long", {"db_url": [f"sqlite:////{'x' * 300}"]}, ("--db_url", "too long")),
    Case("unknown profile", {"profile": ["nosuch"]}, ("--profile", "nosuch")),
    Case("head nowhere", {"head": ["slrum"]}, ("--head", "'slrum'", "Did you mean slurm?")),
    Case("head as a job without Slurm", {"head": ["slurm"]}, ("--head", "no Slurm here")),
    Case("sbatch no pair", {"sbatch": ["exclusive"]}, ("--sbatch", "'exclusive'", "KEY=VALUE")),
    Case("sbatch of ours", {"sbatch": ["array=3"]}, ("--sbatch", "array")),
    Case("empty setup", {"setup": [" "]}, ("--setup", "empty")),
    Case("not UTF-8", {"description": ["caf\udce9"]}, ("--description", "caf", "UTF-8")),
    Case("config missing", {"config_yaml": ["no.yaml"]}, ("--config_yaml", "'no.yaml'", "No such")),
    Case("config of nobody", {"config_toml": ["~nouser/c"]}, ("--config_toml", "home")),
    Case("config no text", {"config_json": [os.__file__]}, ("os.py:1:", "not JSON")),
    Case("JSON of a run", {}, ("--json", "--dryrun"), ("--json",)),
    Case("two answers", {}, ("--dump_config", "--dryrun"), ("--dryrun", "--dump_config")),
    Case("run_dir of nobody", {"run_dir": ["~nouser/x"]}, ("--run_dir", "'~nouser/x'", "home")),
    Case("run_dir too long", {"run_dir": ["x" * 300]}, ("--run_dir", "too long")),
    Case("run_dir a file", {"run_dir": [__file__]}, ("--run_dir", "test_bad_input.py", "a file")),
    Case("run_dir below a file", {"run_dir": [f"{__file__}/runs"]}, ("--run_dir", "is a file")),
]
if find_spec("ax") is None:
    CASES.append(
        Case("model without extra", {"model": ["BOTORCH_MODULAR"]}, ("--model", "headway[botorch]"))
    )
ALL = pytest.mark.parametrize("case", CASES, ids=[case.what for case in CASES])


def run(words: Sequence[str], folder: Path, **environment: str) -> tuple[int, str]:
    """Run Headway as a user does and return its exit code and what it says on stderr."""
    done = subprocess.run(
        [sys.executable, "-I", str(HEADWAY), "run", *words],
        cwd=folder,
        env={"PATH": "/nonexistent", "HOME": str(folder), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


def check(code: int, said: str, parts: Sequence[str], folder: Path) -> None:
    assert said.startswith("headway: ")
    assert said.count("\n") == 1
    assert said.endswith("\n")
    for part in parts:
        assert part in said
    assert "Traceback" not in said
    assert "secret" not in said
    assert code == 2
    assert not list(folder.iterdir())


@ALL
def test_bad_input_ends_with_one_line_and_exit_code_2(
    case: Case,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in os.environ if name.startswith("HEADWAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    code = main(["run", *case.words()])

    check(code, capsys.readouterr().err, case.parts, tmp_path)


@ALL
def test_bad_input_is_found_before_anything_is_asked_or_created(case: Case, tmp_path: Path) -> None:
    sources = read_sources(case.words(), {}, tmp_path)
    with pytest.raises(UsageError) as caught:
        read_request(sources, tmp_path, has_slurm=lambda: False)

    check(caught.value.exit_code, f"headway: {caught.value}\n", case.parts, tmp_path)


def test_several_mistakes_are_told_at_once_a_line_each(tmp_path: Path) -> None:
    wrong: dict[str, list[str] | None] = {
        "max_eval": ["0"],
        "model": ["TPF"],
        "mem_bg": ["4"],
        "parameter": ["x", "rnage", "0"],
    }
    code, said = run(Case("", wrong, ()).words(), tmp_path)

    lines = [line.removeprefix("headway: ").split()[0] for line in said.splitlines()]
    assert sorted(lines) == ["--max_eval:", "--mem_bg:", "--model", "--parameter"]
    assert code == 2
    assert not list(tmp_path.iterdir())


def test_there_are_at_least_25_kinds_of_bad_input() -> None:
    assert len({case.what for case in CASES}) >= 25


def test_a_folder_whose_name_is_not_utf_8_is_bad_input(tmp_path: Path) -> None:
    odd = tmp_path / "caf\udce9"
    odd.mkdir()
    words = Case("", {}, ()).words()

    check(*run(words, odd), ("the working folder", "caf", "is not UTF-8"), odd)
    code, said = run([*words, "--run_dir", str(odd)], tmp_path)
    odd.rmdir()
    check(code, said, ("--run_dir", "caf", "is not UTF-8"), tmp_path)


def test_a_database_that_refuses_is_bad_input(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    url = f"postgresql://user:secret@127.0.0.1:{port}/name"

    code, said = run([*Case("", {}, ()).words(), "--db_url", url], tmp_path)

    said = "".join(line for line in said.splitlines(keepends=True) if "ps shows" not in line)
    check(code, said, ("--db_url",), tmp_path)


@pytest.fixture
def silent_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        yield server.getsockname()[1]


def test_a_database_that_stays_silent_is_given_up_in_time(tmp_path: Path, silent_port: int) -> None:
    url = f"postgresql://user:secret@127.0.0.1:{silent_port}/name"
    began = time.monotonic()

    soon = ("--timing", "connect_seconds=1")
    code, said = run(Case("", {}, (), soon).words(), tmp_path, HEADWAY_DB_URL=url)

    assert time.monotonic() - began < Timing().connect_seconds < 15
    check(code, said, ("--db_url",), tmp_path)


def test_a_partition_that_slurm_does_not_have_is_bad_input(
    tmp_path: Path, slurm_cluster: PrivateSlurm
) -> None:
    words = Case("", {"partition": ["nosuch"]}, ()).words()

    code, said = run(words, tmp_path, PATH=os.environ["PATH"], **slurm_cluster.environment())

    check(code, said, ("--partition", "'nosuch'"), tmp_path)
