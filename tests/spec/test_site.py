"""What a site wants: which options of sbatch may be given and left out, and how GPUs are asked for."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from orchestrator.spec.experiment import ExperimentSpec
from orchestrator.spec.sbatch import near_miss, option_name
from orchestrator.spec.site import Site
from tests.steps.specs import make_spec


@pytest.mark.parametrize(
    ("site", "nodes", "words"),
    [
        (Site(), 2, ("gpus-per-node", "3")),
        (Site(gpu_type="a100"), 2, ("gpus-per-node", "a100:3")),
        (Site(gpu_option="gres"), 2, ("gres", "gpu:3")),
        (Site(gpu_option="gres", gpu_type="a100"), 1, ("gres", "gpu:a100:3")),
        (Site(gpu_option="gpus"), 2, ("gpus", "6")),
        (Site(gpu_option="gpus-per-task", gpu_type="h100"), 1, ("gpus-per-task", "h100:3")),
    ],
)
def test_gpus_are_asked_for_in_the_way_of_the_site(
    site: Site, nodes: int, words: tuple[str, str]
) -> None:
    assert site.gpu_words(3, nodes) == words


def test_options_of_sbatch_are_kept_as_sbatch_writes_them() -> None:
    site = Site(sbatch={"--Mem_Per_CPU": "2G", "exclusive": ""}, omit=("MEM", "wckey", "mem"))
    assert site.sbatch == {"mem-per-cpu": "2G", "exclusive": ""}
    assert site.omit == ("mem", "wckey")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"sbatch": {"partition": "a"}}, "--partition"),
        ({"sbatch": {"time": "10"}}, "--worker_timeout"),
        ({"sbatch": {"wrap": "true"}}, "--run_program"),
        ({"sbatch": {"a b": "1"}}, "no option of sbatch"),
        ({"sbatch": {"mem-per-cpu": "1", "mem_per_cpu": "2"}}, "there twice"),
        ({"sbatch": {"comment": "one\n#SBATCH --uid=0"}}, "one line"),
        ({"sbatch": {"licenses": "x"}, "omit": ["licenses"]}, "both in sbatch and in omit"),
        ({"head_sbatch": {"mem": "1"}, "omit": ["mem"]}, "both in head_sbatch and in omit"),
        ({"omit": ["job-name"]}, "cannot do without job-name"),
        ({"head_sbatch": {"array": "1-3"}}, "makes no sense"),
        ({"setup": ["  "]}, "empty"),
        ({"cluster": "a; rm"}, "pattern"),
    ],
)
def test_what_cannot_be_is_refused_with_what_does_instead(
    given: dict[str, object], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        Site.model_validate(given)


def test_a_slip_is_found_and_an_option_of_a_later_slurm_only_noted() -> None:
    assert near_miss(option_name("--exclusive")) == ""
    assert "Did you mean exclusive?" in near_miss("exclusiv")
    assert "has no option 'zzz'" in near_miss("zzz")


def test_a_resume_knows_the_site_and_a_spec_from_before_sites_has_none() -> None:
    spec = make_spec().model_copy(update={"site": Site(profile="x", omit=("mem",))})
    assert ExperimentSpec.from_json(spec.to_json()).site == spec.site
    older = json.loads(spec.to_json())
    del older["site"]
    assert ExperimentSpec.from_json(json.dumps(older)).site == Site()
