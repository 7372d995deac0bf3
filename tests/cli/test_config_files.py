"""Files of options: YAML, TOML and JSON say the same as a command line, and mistakes their place."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from orchestrator.cli.complaints import in_order
from orchestrator.cli.requests import RunRequest, read_request
from orchestrator.cli.sources import read_sources
from orchestrator.errors import UsageError

YAML = """\
experiment_name: net
max-eval: 20
mem_gb: 0.5
time: 12:00
worker_timeout: 5
partition: [alpha, beta]
exclude: [n1, n2]
requeue: true
no_auto_exclude: yes
follow: false
retries: 0
parameter:
  lr: {type: range, low: 1e-5, high: 0.1, log: yes}
  layers: range 1 8 int
  kind: {type: choice, values: [a, b]}
  digit: {type: choice, values: ["1", "2"]}
  seed: {type: fixed, value: 5}
experiment_constraints: [lr <= 0.05, 2*layers + seed <= 20]
result_names: {LOSS: min, SPEED: max}
run_program: ./p $lr $layers $kind $digit $seed
metadata: {who: me, empty: }
timing: {heartbeat_seconds: 5}
sbatch: {exclusive: true, licenses: "abc:1"}
setup:
  - module load Python
  - export A=1
"""
TOML = """\
experiment_name = "net"
max-eval = 20
mem_gb = 0.5
time = 12:00:00
worker_timeout = 5
partition = ["alpha", "beta"]
exclude = "n1,n2"
requeue = true
no_auto_exclude = true
follow = false
retries = 0
experiment_constraints = ["lr <= 0.05", "2*layers + seed <= 20"]
run_program = "./p $lr $layers $kind $digit $seed"
setup = ["module load Python", "export A=1"]
result_names = ["LOSS=min", "SPEED=max"]
[metadata]
who = "me"
empty = ""
[timing]
heartbeat_seconds = 5
[sbatch]
exclusive = true
licenses = "abc:1"
[parameter]
lr = {type = "range", low = 1e-5, high = 0.1, log = true}
layers = "range 1 8 int"
kind = ["choice", ["a", "b"]]
digit = {type = "choice", values = ["1", "2"]}
seed = {type = "fixed", value = 5}
"""
JSON = {
    "experiment_name": "net",
    "max-eval": 20,
    "mem_gb": 0.5,
    "time": "12:00",
    "worker_timeout": 5,
    "partition": "alpha,beta",
    "exclude": ["n1", "n2"],
    "requeue": True,
    "auto_exclude_defective_hosts": False,
    "follow": False,
    "retries": 0,
    "parameter": [
        "lr range 1e-5 0.1 float LOG true",
        ["layers", "range", 1, 8, "int"],
        {"name": "kind", "type": "choice", "values": ["a", "b"]},
        ["digit", "choice", [1, 2], "str"],
        {"param": ["seed", "fixed", 5]},
    ],
    "experiment_constraints": ["lr <= 0.05", "2*layers + seed <= 20"],
    "result_names": {"LOSS": "min", "SPEED": "max"},
    "run_program": ["./p", "$lr", "$layers", "$kind", "$digit", "$seed"],
    "metadata": {"who": "me", "empty": None},
    "timing": ["heartbeat_seconds=5"],
    "sbatch": ["exclusive=", "licenses=abc:1"],
    "setup": ["module load Python", "export A=1"],
}
LINE = (
    *("--experiment_name", "net", "--max_eval", "20", "--mem_gb", "0.5", "--time", "12:00"),
    *("--worker_timeout", "5", "--partition", "alpha,beta", "--exclude", "n1,n2", "--requeue"),
    *("--no_auto_exclude", "--retries", "0", "--metadata", "who=me", "empty="),
    *("--parameter", "lr", "range", "1e-5", "0.1", "float", "LOG", "true"),
    *("--parameter", "layers", "range", "1", "8", "int", "--parameter", "kind", "choice", "a,b"),
    *("--parameter", "digit", "choice", "1,2", "str", "--parameter", "seed", "fixed", "5"),
    *("--experiment_constraints", "lr <= 0.05", "--experiment_constraints", "2*layers+seed<=20"),
    *("--result_names", "LOSS=min", "SPEED=max", "--timing", "heartbeat_seconds=5"),
    *("--run_program", "./p $lr $layers $kind $digit $seed"),
    *("--sbatch", "exclusive=", "licenses=abc:1"),
    *("--setup", "module", "load", "Python", "--setup", "export A=1"),
)
# The example of OmniOpt2's page on such files, with its stray options in the last parameter.
OMNIOPT = """\
live_share = true
partition = "alpha"
experiment_name = "__main__tests__"
mem_gb = 4
time = 60
worker_timeout = 5
max_eval = 2
num_parallel_jobs = 20
gpus = 0
run_program = "./p '%(int_param)' '%(float_param)' '%(choice_param)' '%(int_param_two)'"

[[parameter]]
param = ["int_param", "range", "-100", "10", "int"]

[[parameter]]
param = ["float_param", "range", -100, 10, "float"]

[[parameter]]
param = ["choice_param", "choice", "1,2,4,8,16,hallo"]

[[parameter]]
param = ["int_param_two", "range", "-100", "10", "int"]

num_random_steps = 1
model = "TPE"
auto_exclude_defective_hosts = true
"""


def request(words: list[str], cwd: Path, **environment: str) -> RunRequest:
    sources = read_sources([*words, "--seed", "1"], environment, cwd)
    return read_request(sources, cwd, has_slurm=lambda: True)


def from_file(form: str, text: str, cwd: Path, *words: str) -> RunRequest:
    (cwd / f"search.{form}").write_text(text)
    return request([f"--config_{form}", f"search.{form}", *words], cwd)


def mistakes(form: str, text: str, cwd: Path, *words: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        from_file(form, text, cwd, *words)
    assert caught.value.exit_code == 2
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("form", "text"), [("yaml", YAML), ("toml", TOML), ("json", json.dumps(JSON, indent="\t"))]
)
def test_a_file_says_the_same_as_the_command_line(form: str, text: str, tmp_path: Path) -> None:
    asked, typed = from_file(form, text, tmp_path), request(list(LINE), tmp_path)
    constraints = [c.text for c in asked.spec.space.constraints]

    assert constraints == ["lr <= 0.05", "2*layers + seed <= 20"]
    assert asked.spec.model_dump(exclude={"space"}) == typed.spec.model_dump(exclude={"space"})
    assert asked.spec.space.parameters == typed.spec.space.parameters
    assert asked.spec.site.setup == ("module load Python", "export A=1")
    assert not asked.options.follow


def test_the_files_of_omniopt2_are_understood(tmp_path: Path) -> None:
    spec = from_file("toml", OMNIOPT, tmp_path).spec

    assert spec.name == "__main__tests__"
    assert spec.space.names() == ["int_param", "float_param", "choice_param", "int_param_two"]
    assert str(spec.strategy) == "SOBOL=1, TPE"
    assert (spec.max_eval, spec.num_parallel_jobs, spec.auto_exclude) == (2, 20, True)


BAD_YAML = """\
experiment_name: a/b
max_evl: 20
mem-gb: lots
mem_gb: 4
time: 12:99
follow: maybe
config_toml: x.toml
parameter:
  lr: {type: range, low: 1, high: 0.1}
  k: {type: choice, values: [a, "b,c"]}
  z: {type: rnage, low: 1}
  y:
    type: range
    low: 0
    hihg: 1
  w: range 0 10 itn
model: TPF
result_names: {LOSS: mni}
run_program: [1, {a: b}]
timing: {hearbeat_seconds: 1}
partition:
qosx:
  - q
"""


def test_all_mistakes_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    said = mistakes("yaml", BAD_YAML, tmp_path, "--gpus", "x")
    expected = [
        "--gpus: 'x' is not a whole number",
        "search.yaml:1: experiment_name: 'a/b' is not a name",
        "search.yaml:2: max_evl: there is no such option. Did you mean max_eval?",
        "search.yaml:3: mem-gb: 'lots' is not a number of GiB",
        "search.yaml:4: mem_gb: is there twice, first in line 3",
        "search.yaml:5: time: '12:99' is not a time",
        "search.yaml:6: follow: 'maybe' is neither true nor false",
        "search.yaml:7: config_toml: belongs on the command line",
        "search.yaml:9: parameter.lr: the range 1.0 to 0.1 must go from low to high",
        "search.yaml:10: parameter.k.values: 'b,c' cannot be chosen",
        "search.yaml:11: parameter.z.type: 'rnage' is none of range, choice, fixed. Did you mean",
        "search.yaml:15: parameter.y.hihg: no key of a range; there are type, low, high, value_t",
        "search.yaml:16: parameter.w: 'itn' after the range is not understood",
        "search.yaml:17: model TPF: unknown model",
        "search.yaml:18: result_names: 'mni' in 'LOSS=mni' is not min or max",
        "search.yaml:19: run_program: needs a text, not keys with values",
        "search.yaml:20: timing: 'hearbeat_seconds' is none of",
        "search.yaml:21: partition: needs a value, or a list of them, but nothing is there",
        "search.yaml:22: qosx: there is no such option. Did you mean qos?",
    ]

    assert [line[: len(start)] for line, start in zip(said, expected, strict=True)] == expected


def test_mistakes_in_json_have_their_lines_too(tmp_path: Path) -> None:
    text = (
        '{\n\t"experiment_name": "ok",\n\t"max_eval": 1.5, "max_eval": 3,\n\t"parameter":\n'
        '\t\t{"x": {"type": "range", "low": 0,\n\t\t"high": [1]},\n\t\t"y": "fixed"},\n'
        '\t"run_program": "./p \\"}{\\" $x"\n}\n'
    )

    assert mistakes("json", text, tmp_path) == [
        "search.json:3: max_eval: '1.5' is not a whole number; give one, 1 or more",
        "search.json:3: max_eval: is there twice, first in line 3",
        "search.json:6: parameter.x.high: needs one value, not a list",
        "search.json:7: parameter.y: a fixed parameter needs its value, for example fixed 5",
    ]


def test_mistakes_in_toml_have_the_path_of_their_key(tmp_path: Path) -> None:
    text = (
        'experiment_name = "n"\nmax_eval = 0\nrun_program = "./p"\nmem_gb = 1\n"mem-gb" = 4\n'
        '[[parameter]]\nparam = ["x", "range", 0, "b"]\n'
        '[[parameter]]\nname = "y"\ntype = "range"\nlow = 0\nhigh = {a = 1}\n'
    )

    assert mistakes("toml", text, tmp_path) == [
        "search.toml: max_eval: '0' is out of range; give a whole number, 1 or more",
        "search.toml: mem-gb: is there twice, first as mem_gb",
        "search.toml: parameter[2].high: needs one value, not keys with values",
        "search.toml: parameter[1].param x: 'b' is not a number",
    ]


def test_mistakes_are_in_the_order_of_their_lines_whatever_the_file_is_called() -> None:
    lines = ["my search.yaml:10: b", "my search.yaml:9: a", "--seed: c"]
    assert in_order(lines) == lines[::-1]


def test_mistakes_about_the_site_are_told_together(tmp_path: Path) -> None:
    told = mistakes("yaml", "sbatch:\n  time: 1\nsetup:\n  - ''\n", tmp_path)

    assert [line for line in told if line.startswith("search.yaml")] == [
        "search.yaml:1: sbatch: time is not for here: --worker_timeout",
        "search.yaml:4: setup: it is empty, or holds a NUL character",
    ]


@pytest.mark.parametrize(
    ("form", "text", "said"),
    [
        ("yaml", "a: [1", "search.yaml:1: expected ',' or ']'"),
        ("yaml", "a: b\n c: d", "search.yaml:2: mapping values are not allowed here"),
        ("yaml", "a: 1\nb: \x07", "search.yaml:2: it is not YAML: special characters"),
        ("yaml", "? [a, b]\n: c", "search.yaml:1: a key must be one word"),
        ("yaml", "- a\n- b", "search.yaml:1: it holds no options, such as `max_eval: 20`"),
        ("yaml", "[" * 5000, "search.yaml:1: it is nested too deeply"),
        ("toml", "a = 1\na = 2", "search.toml:2: Cannot overwrite a value"),
        ("toml", "a = ", "search.toml:1: Invalid value"),
        ("toml", "a = " + "1" * 5000, "search.toml: it is not TOML: Exceeds the limit"),
        ("json", '{"a": 1,\n}', "search.json:"),
        ("json", "[1]", "search.json:1: it holds no options"),
        ("json", "max_eval: 3", "search.json:1: it is not JSON"),
    ],
)
def test_what_is_no_such_file_is_said_in_one_line(
    form: str, text: str, said: str, tmp_path: Path
) -> None:
    (line,) = mistakes(form, text, tmp_path)

    assert line.startswith(said)


def test_references_that_mean_millions_of_values_are_refused(tmp_path: Path) -> None:
    rows = ["a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    rows += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefgh")]

    (line,) = mistakes("yaml", "\n".join(rows), tmp_path)
    assert "means more than 100000 values" in line


def test_a_key_that_is_there_twice_is_a_mistake_at_every_depth(tmp_path: Path) -> None:
    text = (
        "experiment_name: t\nmax_eval: 3\nrun_program: ./p\nmetadata: {a: 1, a: 2}\n"
        "parameter:\n  x: range 0 1\n  y: {type: fixed, value: 1, value: 2}\n  x: fixed 3\n"
    )

    assert mistakes("yaml", text, tmp_path) == [
        "search.yaml:4: metadata: 'a' is there twice",
        "search.yaml:7: parameter.y.value: is there twice",
    ]
    assert mistakes("yaml", text.replace(", value: 2", "").replace(", a: 2", ""), tmp_path) == [
        "search.yaml:8: parameter.x: the name is there twice"
    ]


def test_a_file_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has more than 2000000 signs"):
        request(["--config_yaml", "/dev/zero"], tmp_path)


def test_what_a_file_holds_cannot_move_the_cursor(tmp_path: Path) -> None:
    (line,) = mistakes("json", '{"a\\nb\\u001b[31m": 1}', tmp_path)

    assert line.startswith(r"search.json:1: 'a\nb\x1b[31m': there is no such option")


def test_a_file_that_is_not_there_names_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_text("max_eval: 3")
    with pytest.raises(UsageError) as caught:
        request(["--config_yaml", "serch.yaml"], tmp_path)

    said = "--config_yaml: 'serch.yaml' cannot be read: No such file or directory."
    assert str(caught.value) == f"{said} Did you mean search.yaml?"


def test_a_file_of_another_form_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "search.toml").write_text('a = "b"\n[c]\nd = 1\n')
    with pytest.raises(UsageError) as caught:
        request(["--config_json", "search.toml"], tmp_path)

    assert str(caught.value).endswith("; by its name it is for --config_toml")


def test_only_one_file_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        request(["--config_json", "a.json", "--config_yaml", "a.yaml"], tmp_path)

    assert str(caught.value) == "--config_json: --config_yaml is given too; give one file"


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert from_file("yaml", "# nothing yet\n", tmp_path, *LINE).spec.name == "net"


def test_a_long_text_keeps_its_lines(tmp_path: Path) -> None:
    text = "run_program: |\n  cd x\n  ./p $lr $layers \\\n    $kind $digit $seed\n"
    words = [word for word in LINE[: LINE.index("--run_program")] if word]
    spec = from_file("yaml", text, tmp_path, *words).spec

    assert spec.program == "cd x\n./p $lr $layers \\\n  $kind $digit $seed"
