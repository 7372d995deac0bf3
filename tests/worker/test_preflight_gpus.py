"""GPUs that a job asked for have to be there, and have to answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.worker.runs import Run

TWO = "GPU-aa, 1 MiB\nGPU-bb, [N/A]\n"
BOTH = {"SLURM_GPUS_ON_NODE": "2", "SLURM_JOB_GPUS": "4,5", "CUDA_VISIBLE_DEVICES": "0,1"}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run whose trials ask for two GPUs."""
    run = Run(tmp_path)
    run.look_for(gpus=2)
    return run


def driver(run: Run, answer: str = TWO, code: int = 0, *, before: str = "") -> dict[str, str]:
    """Put an nvidia-smi first on PATH that says this; return the variables of a sound job."""
    folder = run.folder / "bin"
    folder.mkdir()
    command = folder / "nvidia-smi"
    # A heartbeat asks too, with other words.
    command.write_text(
        f'#!/bin/sh\ncase $* in *uuid*) echo "$@" >> {run.folder}/asked; {before}\n'
        f"cat <<'END'\n{answer}END\nexit {code};; esac\n"
    )
    command.chmod(0o755)
    return {**BOTH, "PATH": f"{folder}:/usr/bin:/bin"}


def test_gpus_that_answer_are_enough(run: Run) -> None:
    run.find_nothing(**driver(run))
    asked = (run.folder / "asked").read_text()
    assert asked == "-i 0,1 --query-gpu=uuid,memory.used --format=csv,noheader\n"


def test_nobody_asks_the_driver_for_a_job_without_gpus(run: Run) -> None:
    run.look_for(gpus=0)
    run.find_nothing(**driver(run, "broken", 9))
    assert not (run.folder / "asked").exists()


NO_DRIVER = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (f"{NO_DRIVER}\n\n", 9, f"nvidia-smi failed (exit code 9): {NO_DRIVER}"),
        ("", 15, "nvidia-smi failed (exit code 15): it printed nothing"),
        ("GPU-aa, 1 MiB\n", 0, "2 GPUs were asked for and nvidia-smi shows 1"),
        (
            "GPU-aa, 1 MiB\nGPU-bb, [Unknown Error]\n",
            0,
            "a GPU does not answer: nvidia-smi says GPU-bb, [Unknown Error]",
        ),
        ("GPU-aa, 1 MiB\n[GPU requires reset], 0\n", 0, "[GPU requires reset], 0"),
    ],
)
def test_gpus_that_do_not_answer_are_a_defect(run: Run, answer: str, code: int, text: str) -> None:
    ending = run.find_defect(**driver(run, answer, code))
    assert text in ending["problems"][0]
    assert (ending["checks"]["failed"], ending["checks"]["gpus_asked"]) == ("GPUs", 2)


def test_a_driver_that_hangs_is_a_defect(run: Run) -> None:
    run.look_for(seconds=1)
    ending = run.find_defect(**driver(run, before="sleep 100"))
    assert "nvidia-smi failed (no answer in 1 s)" in ending["problems"][0]
    assert float(ending["checks"]["nvidia_smi_seconds"] or 0) >= 1


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"SLURM_GPUS_ON_NODE": "1"}, "Slurm gave 1 (SLURM_GPUS_ON_NODE)"),
        ({"CUDA_VISIBLE_DEVICES": "3"}, "and CUDA_VISIBLE_DEVICES=3 has 1"),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, "and CUDA_VISIBLE_DEVICES=NoDevFiles has 0"),
        ({"CUDA_VISIBLE_DEVICES": ""}, "and CUDA_VISIBLE_DEVICES= has 0"),
        ({"CUDA_VISIBLE_DEVICES": "0,-1,1"}, "and CUDA_VISIBLE_DEVICES=0,-1,1 has 1"),
    ],
)
def test_fewer_gpus_than_were_asked_for_are_a_defect(
    run: Run, environ: dict[str, str], text: str
) -> None:
    ending = run.find_defect(**(driver(run) | environ))
    assert ending["problems"][0].startswith("2 GPUs were asked for")
    assert text in ending["problems"][0]


def test_what_the_user_has_exported_is_no_word_of_slurm(run: Run) -> None:
    sound = driver(run)
    for name in ("SLURM_GPUS_ON_NODE", "SLURM_JOB_GPUS"):
        del sound[name]
    run.find_nothing(**{**sound, "CUDA_VISIBLE_DEVICES": "7"})
    assert "-i" not in (run.folder / "asked").read_text()


def test_gpus_of_another_make_pass(run: Run) -> None:
    run.find_nothing(**BOTH, PATH="/usr/bin:/bin")


def test_parts_of_a_gpu_are_counted_by_slurm_alone(run: Run) -> None:
    sound = driver(run, "GPU-aa, 1 MiB\n")
    run.find_nothing(**{**sound, "CUDA_VISIBLE_DEVICES": "MIG-aa,MIG-bb"})
    assert "-i" not in (run.folder / "asked").read_text()
