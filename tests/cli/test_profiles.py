"""Profiles: where they are found, what is wrong in one, and what they make of a search's jobs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from orchestrator.cli import profiling
from orchestrator.cli.profiles import SITE_KEYS, find_file, find_profile, make_site, profile_files
from orchestrator.errors import UsageError
from slurm_templates import HEAD, PROFILES
from tests.cli.commands import headway
from tests.scheduler.test_fakes import Site, site

__all__ = ["site"]

pytestmark = pytest.mark.usefixtures("here")
MINE = """\
# Ours
partition: [alpha, beta]
account: p_one
mem-gb: 0.5
time: 12:00
requeue: yes
gpus: 2
gres: scratch:1
timing: {poll_max_seconds: 3}
cluster: big
omit: mem, wckey
gpu_option: gres
gpu_type: a100
setup:
  - module load Python
sbatch: {licenses: "a:1,b:2", exclusive: , hold: true}
head_sbatch: [time=08:00:00, nice=2]
mail: {user: me@here.org, type: FAIL}
"""
WRONG = """\
partiton: a
mem_gb: lots
cluster: a b
sbatch: {time: 3}
omit: job-name
run_program: x
mem-gb: 3
gpu_option: gress
mail: {usr: x}
"""
RUN = (
    *("run", "--experiment_name", "e", "--max_eval", "1", "--parameter", "x", "range", "0", "1"),
    *("--run_program", "echo RESULT: %(x)"),
)


@pytest.fixture
def home(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user's own profiles, with one in it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(here / "config"))
    folder = here / "config" / "headway" / "profiles"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(MINE)
    return folder


def test_the_users_own_come_before_those_of_headway(home: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(home.parents[1])}
    assert find_file("plain", environment) == PROFILES / "plain.yaml"
    (home / "plain.yaml").write_text("account: mine\n")
    assert find_file("plain", environment) == home / "plain.yaml"
    assert set(profile_files(environment)) >= {"mine", "plain", "strange", "gpu-modules"}
    assert find_file("config/headway/profiles/mine.yaml", {}) == home / "mine.yaml"


def test_a_profile_that_is_not_there_is_told_with_those_that_are(home: Path) -> None:
    with pytest.raises(UsageError, match=r"--profile: there is no mein.yaml in .* Did you mean"):
        find_profile("mein")
    with pytest.raises(UsageError, match=r"there is no file './x.yaml'"):
        find_profile("./x.yaml")


def test_what_a_profile_says_of_jobs_is_the_site_and_the_rest_is_options(home: Path) -> None:
    found = find_profile("mine")
    assert found.options["time"] == "12:00"
    assert found.options["partition"] == ["alpha", "beta"]
    assert (found.site.profile, found.site.cluster) == ("mine", "big")
    assert found.site.omit == ("mem", "wckey")
    assert found.site.setup == ("module load Python",)
    assert found.site.sbatch == {"licenses": "a:1,b:2", "exclusive": "", "hold": ""}
    assert found.site.head_sbatch == {"time": "08:00:00", "nice": "2"}
    assert (found.site.mail_user, found.site.mail_type) == ("me@here.org", ("FAIL",))


def test_all_mistakes_are_told_at_once_each_with_its_line(here: Path) -> None:
    (here / "wrong.yaml").write_text(WRONG)
    done = headway("profile", "check", "./wrong.yaml")
    lines = done.stderr.splitlines()
    assert done.returncode == 2
    assert [line.split(":")[2] for line in lines] == [str(number) for number in range(1, 10)]
    assert "Did you mean partition?" in lines[0]
    assert "'lots' is not a number of GiB" in lines[1]
    assert "first in line 2" in lines[6]
    assert "'gpus-per-node', 'gres', 'gpus' or 'gpus-per-task'" in lines[7]


def test_what_is_given_and_left_out_is_told_with_the_line_that_leaves_it_out(
    here: Path,
) -> None:
    (here / "both.yaml").write_text("account: a\nomit: mem\nhead_sbatch: {mem: 2G}\n")
    with pytest.raises(UsageError, match=r"both\.yaml:2: mem is both in head_sbatch and in omit"):
        find_profile("./both.yaml")


def test_what_is_no_single_text_is_never_taken_for_one(here: Path) -> None:
    lines = ("setup:", "  - echo a: b", "sbatch: {licenses: a, licenses: b}", "omit: {mem: true}")
    (here / "deep.yaml").write_text("\n".join((*lines, "mail: {user: [a]}", "head_sbatch: [null]")))
    with pytest.raises(UsageError) as raised:
        find_profile("./deep.yaml")
    told = [line.partition("deep.yaml:")[2] for line in str(raised.value).split("\n")]
    assert told == [
        "2: setup: needs one text (between quotes if it holds `: `), not keys with values",
        "3: sbatch.licenses: is there twice",
        "4: omit: needs one text (between quotes if it holds `: `), not keys with values",
        "5: mail.user: needs one text (between quotes if it holds `: `), not a list",
        "6: head_sbatch: needs one text (between quotes if it holds `: `), but nothing is there",
    ]


@pytest.mark.parametrize("text", ["a: [", "- a\n- b\n", "just a text\n", "\xff"])
def test_a_file_that_is_no_profile_is_one_line(here: Path, text: str) -> None:
    (here / "odd.yaml").write_text(text, encoding="latin-1")
    with pytest.raises(UsageError, match=r"odd\.yaml") as raised:
        find_profile("./odd.yaml")
    assert "\n" not in str(raised.value)


def test_the_command_line_adds_lines_of_setup_and_wins_over_options_of_sbatch(home: Path) -> None:
    given = make_site(
        find_profile("mine"), setup=[["export", "A=1"]], sbatch=[["licenses=c:1", "comment=x"]]
    )
    assert given.setup == ("module load Python", "export A=1")
    assert given.sbatch["licenses"] == "c:1"
    assert given.sbatch["comment"] == "x"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--sbatch", "exclusive"), "--sbatch: 'exclusive' is not of the form KEY=VALUE"),
        (("--sbatch", "partition=a"), "--sbatch: partition is not for here: --partition"),
        (("--sbatch", "nice=1", "Nice=2"), "--sbatch: 'nice' is there twice"),
        (("--setup", " "), "--setup: it is empty"),
        (("--profile", "~nobody-here/x"), "there is no home folder of this name"),
        (("--profile", "pain"), "Did you mean plain?"),
    ],
)
def test_bad_words_are_one_line_and_nothing_is_created(
    here: Path, words: tuple[str, ...], says: str
) -> None:
    done = headway(*RUN, *words)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert not (here / "runs").exists()


def test_the_script_of_a_trial_is_as_the_site_wants_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert profiling.run("profile", ["check", "mine", "--json"]) == 0
    script = json.loads(capsys.readouterr().out)["scripts"]["trial"]
    options = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    assert "#SBATCH --partition=alpha,beta" in options
    assert "#SBATCH --licenses=a:1,b:2" in options
    assert "#SBATCH --exclusive" in options
    assert "#SBATCH --requeue" in options
    assert "#SBATCH --gres=scratch:1,gpu:a100:2" in options
    assert not [
        line for line in options if "--mem" in line or "wckey" in line or "per-node" in line
    ]
    assert "\nmodule load Python\nheadway_check 'module load Python'\n" in script
    assert script.index("headway_check()") < script.index("module load") < script.index("exec ")


def test_what_it_tells_for_programs_holds_no_password(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "mine.yaml").write_text("db_url: postgresql://me:secret@host/name\n")
    assert profiling.run("profile", ["check", "mine", "--json"]) == 0
    told = capsys.readouterr().out
    assert "secret" not in told
    assert json.loads(told)["options"] == {"db_url": "postgresql://me:***@host/name"}


def test_the_checks_say_what_is_not_sent(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert profiling.run("profile", ["check", "mine"]) == 0
    told = capsys.readouterr().out
    assert "--mem_gb: not sent, since the profile mine leaves --mem of sbatch out" in told
    assert "#SBATCH --time=08:00:00" in told, "the head's own option"


@pytest.mark.parametrize(
    ("says", "code", "told"),
    [
        ("sbatch: Job 7 to start at 2026-01-01T00:00:00", 0, "Slurm would take it"),
        ("allocation failure: Invalid qos specification", 1, "Slurm refuses it"),
        ("allocation failure: Requested nodes are busy", 1, "does not take it now"),
    ],
)
def test_slurm_is_asked_with_test_only_and_its_words_are_passed_on(
    site: Site, says: str, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    site.fails("sbatch", says, code=code)
    site.folder.with_name("slurm.conf").touch()
    assert profiling.run("profile", ["check", "plain", "--submit"]) == code
    out = capsys.readouterr().out
    assert out.count(told) == 2, "for a trial and for a head"
    assert says in out
    assert [call.split()[1] for call in site.calls()] == ["--test-only"] * 2


def test_without_slurm_nobody_can_be_asked(site: Site) -> None:
    site.command("scontrol", "exit 1")
    with pytest.raises(UsageError, match="--submit: there is no Slurm here"):
        profiling.run("profile", ["check", "plain", "--submit"])


def test_the_profiles_of_headway_are_right_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    shipped = {path.stem for path in PROFILES.glob("*.yaml")}
    assert shipped >= {"plain", "strange", "gpu-modules"}
    for name in shipped:
        assert profiling.run("profile", ["check", name]) == 0
    capsys.readouterr()
    assert profiling.run("profile", ["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["profiles"]
    assert shipped <= {row["name"] for row in rows}
    assert all(row["says"] for row in rows if row["name"] in shipped)


def test_the_examples_of_the_page_are_the_files_that_come_with_headway(here: Path) -> None:
    page = (PROFILES.parents[1] / "docs" / "profiles.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    shipped = [path.read_text() for path in PROFILES.glob("*.yaml")]
    assert len(blocks) == len(shipped)
    assert all(any(text.endswith(block) for text in shipped) for block in blocks)
    keys = re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)
    assert set(keys) == set(SITE_KEYS)


def test_the_path_of_the_head_script_can_stand_in_a_command() -> None:
    assert headway("profile", "head-script").stdout == f"{HEAD}\n"
