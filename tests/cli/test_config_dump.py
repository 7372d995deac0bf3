"""`--dump_config`: what it prints reads back to the same search, and holds no password."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.cli.dumping import dumped
from orchestrator.cli.requests import RunRequest, read_request
from orchestrator.cli.sources import read_sources
from tests.main_job.runs import Place

BASE = ["--experiment_name", "t", "--max_eval", "9", "--parameter", "x", "range", "0", "1"]
PROGRAM = ["--run_program", "./p $x"]

# No % in the name of a group: the time codes mean another moment when the file is read.
# Signs that end lines, or that YAML escapes, among them.
WORDS = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\r\t \x85\u2028'\"#:-"),
    min_size=1,
    max_size=20,
).filter(lambda text: text.strip() and not text.startswith("-") and "\0" not in text)
KEYS = st.text("abcdefgh_", min_size=1, max_size=5)
PAIRS = st.dictionaries(KEYS, WORDS, min_size=1, max_size=3).map(
    lambda found: [f"{key}={value}" for key, value in found.items()]
)
NUMBERS = st.floats(0.01, 1000).map(repr)
# A fixed value is any text; numbers that are no doubles would be refused.
FIXED = WORDS.map(lambda text: ["y", "fixed", text, "str"])
CHOICES = st.lists(st.text("ab1. é", min_size=1, max_size=4), min_size=1, max_size=4, unique=True)
CHOSEN = CHOICES.map(
    lambda found: ["y", "choice", ",".join(dict.fromkeys(f"v{text.strip()}" for text in found))]
)
RANGES = st.integers(1, 99).map(lambda low: ["y", "range", str(low), "100", "int", "LOG", "true"])
OPTIONS = {
    "--parameter": st.one_of(FIXED, CHOSEN, RANGES),
    "--description": WORDS.map(lambda text: [text]),
    "--participant": WORDS.map(lambda text: [text]),
    "--metadata": PAIRS,
    "--mem_gb": NUMBERS.map(lambda text: [text]),
    "--worker_timeout": NUMBERS.map(lambda text: [text]),
    "--time": st.sampled_from([["2-12:00"], ["99:59"], ["3000"]]),
    "--partition": st.sampled_from([["a"], ["a,b"], ["007"], ["no"], ["1:30"]]),
    "--account": st.sampled_from([["a b'\""], ["1.50"], ["é: #1"]]),
    "--group": st.sampled_from([["1.50"], ["-0"], ["12345678901234567.5"]]),
    "--preflight": WORDS.map(lambda text: [text]),
    "--setup": st.lists(WORDS, min_size=1, max_size=2),
    "--experiment_constraints": st.sampled_from([["x <= 0.5"], ["x <= 0.9", "x >= 0.1"]]),
    "--result_names": st.sampled_from([["A"], ["A=max"], ["A=min", "B=max"], ["A", "B=max"]]),
    "--model": st.sampled_from([["tpe"], ["auto"], ["HALTON"]]),
    "--num_random_steps": st.sampled_from([["0"], ["3"]]),
    "--seed": st.sampled_from([["0"], ["4294967295"]]),
    "--requeue": st.just([]),
    "--no_auto_exclude": st.just([]),
    "--auto_exclude_defective_hosts": st.just([]),
    "--force_local_execution": st.just([]),
}
CHOSEN_OPTIONS = st.fixed_dictionaries({}, optional=OPTIONS)


def request(words: list[str], cwd: Path, **environment: str) -> tuple[RunRequest, str]:
    sources = read_sources(words, environment, cwd)
    asked = read_request(sources, cwd, has_slurm=lambda: True)
    return asked, dumped(sources.settings, asked)


@settings(deadline=None, max_examples=60)
@given(options=CHOSEN_OPTIONS, program=WORDS)
def test_what_is_printed_reads_back_to_the_same_search(
    options: dict[str, list[str]], program: str
) -> None:
    words = [*BASE, f"--run_program=: $x {program}"]
    for name, values in options.items():
        words += [f"{name}={values[0]}", *values[1:]] if values else [name]
    with tempfile.TemporaryDirectory() as folder:
        cwd = Path(folder)
        asked, text = request(words, cwd)
        (cwd / "c.yaml").write_text(text, encoding="utf-8")
        again, _ = request(["--config_yaml", "c.yaml"], cwd)

    assert again.spec == asked.spec
    assert again.run_root == asked.run_root


def test_what_was_drawn_or_depends_on_the_machine_is_printed(tmp_path: Path) -> None:
    asked, text = request([*BASE, *PROGRAM], tmp_path)
    kept = yaml.safe_load(text)

    assert kept["seed"] == asked.spec.seed
    assert kept["num_parallel_jobs"] == 20
    assert (kept["num_random_steps"], kept["model"]) == (4, asked.spec.strategy.nodes[1].generator)


@pytest.mark.parametrize("way", ["option", "variable", "file"])
def test_a_password_is_never_printed(way: str, tmp_path: Path) -> None:
    url = "postgresql://u:secret@h/d"
    (tmp_path / "c.yaml").write_text(f"db_url: {url}\n")
    words = {"option": ["--db_url", url], "file": ["--config_yaml", "c.yaml"]}.get(way, [])
    environment = {"HEADWAY_DB_URL": url} if way == "variable" else {}
    asked, text = request([*BASE, *PROGRAM, *words], tmp_path, **environment)

    assert asked.db_url == url
    assert "secret" not in text
    assert "# db_url: not written here" in text


def test_a_database_without_a_password_and_a_file_of_one_are_printed(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://u:secret@h/d")
    _, plain = request([*BASE, *PROGRAM, "--db_url", "postgresql://u@h/d"], tmp_path)
    _, filed = request([*BASE, *PROGRAM, "--db_url", "@url"], tmp_path)

    assert yaml.safe_load(plain)["db_url"] == "postgresql://u@h/d"
    assert yaml.safe_load(filed)["db_url"] == "@url"


def test_the_command_prints_and_starts_nothing(tmp_path: Path) -> None:
    text = Place(tmp_path).run("run", *BASE, *PROGRAM, "--dump_config", "--force_local_execution")

    assert yaml.safe_load(text)["parameter"] == ["x range 0 1"]
    assert not list(tmp_path.iterdir())
