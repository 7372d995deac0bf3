"""`headway rules check`: is a rules file right, and what would it make of a log?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.cli import rules
from orchestrator.errors import UsageError
from orchestrator.steps.log_ends import END_BYTES
from tests.cli.commands import headway

pytestmark = pytest.mark.usefixtures("here")
RULES = """\
errors:
  - name: dead_gpu
    match_strings: ["CUDA error: unspecified", "Xid"]
    behavior: ExcludeNode
  - name: licence
    match_regex: "licen[cs]e server .* busy"
    exit_codes: [7, 9]
    behavior: Restart
    max_restarts: 5
"""


@pytest.fixture(autouse=True)
def files(here: Path) -> None:
    (here / "rules.yaml").write_text(RULES)
    (here / "gpu.log").write_text("epoch 1\nNVRM: xid 79\n")
    (here / "disk.log").write_text("OSError: [Errno 28] No space left on device\n")
    (here / "licence.log").write_text("license server x is busy\n")


def check(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = rules.run("rules", ["check", "rules.yaml", *words])
    return code, capsys.readouterr().out


def test_a_file_that_is_right_is_shown_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = check(capsys)
    assert code == 0
    assert "dead_gpu  'CUDA error: unspecified' or 'Xid'" in told
    assert "and exit code 7 or 9" in told
    assert "the trial is tried again, up to 5 times" in told
    assert told.endswith("The file is right.\n")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--log", "gpu.log"], 0, "dead_gpu fits, by the text 'Xid': its host is kept out"),
        (["--log", "licence.log", "--exit_code", "9"], 0, "licence fits, by 'license server x"),
        (["--log", "licence.log", "--exit-code", "1"], 1, "No rule fits, and Headway's own table"),
        (["--log", "disk.log"], 1, "No rule fits. Headway's own table says PROGRAM (disk-full)"),
        (["--exit_code", "7"], 1, "No rule fits this exit code alone; --log LOG tries the texts"),
    ],
)
def test_a_log_is_tried(
    capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    found, output = check(capsys, *words)
    assert found == code
    assert told in output


def test_an_expression_that_takes_too_long_on_a_log_is_said(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule = "  - {name: slow, match_regex: '(a+)+b', behavior: Restart}\n"
    (here / "rules.yaml").write_text(RULES + rule)
    (here / "a.log").write_text("a" * 60)
    code, told = check(capsys, "--log", "a.log")
    assert code == 1
    assert "slow: '(a+)+b' takes too long here, and is left out in such a run.\nNo rule" in told


def test_programs_get_the_rules_and_what_fits_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, told = check(capsys, "--log", "gpu.log", "--json")
    answer = json.loads(told)
    assert code == 0
    assert [rule["name"] for rule in answer["rules"]] == ["dead_gpu", "licence"]
    assert answer["rules"][1]["exit_codes"] == [7, 9]
    assert (answer["found"]["rule"], answer["found"]["pattern"]) == ("dead_gpu", None)
    assert json.loads(check(capsys, "--json")[1])["found"] is None


def test_a_file_without_rules_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "rules.yaml").write_text("errors: []\n")
    assert check(capsys) == (0, "The file is right, and has no rules.\n")


def test_only_the_end_of_a_log_counts_as_in_a_run(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "long.log").write_text("Xid\n" + "x" * END_BYTES)
    assert check(capsys, "--log", "long.log")[0] == 1


def test_each_mistake_is_a_line_with_its_place(here: Path) -> None:
    (here / "rules.yaml").write_text(RULES.replace("Restart", "Restat").replace('"Xid"', '""'))
    done = headway("rules", "check", "rules.yaml")
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first.startswith("headway: rules.yaml:3: match_strings")
    assert second.startswith("headway: rules.yaml:8: behavior")
    assert "Did you mean Restart?" in second


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chek"], "rules chek: there is no such command. Did you mean check?"),
        (["check", "none.yaml"], "rules check: none.yaml cannot be read: No such file"),
        (["check", "rules.yaml", "--log", "none"], "--log: 'none' cannot be read: No such file"),
        (["check", "rules.yaml", "--log", "."], "--log: '.' cannot be read: it is no file"),
        (["check", "rules.yaml", "--exit_code", "256"], "'256' is out of range"),
        (["check"], "rules check: the following arguments are required: FILE"),
        (["check", ""], "rules check: FILE: it is empty"),
    ],
)
def test_bad_input_is_named(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        rules.run("rules", words)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
