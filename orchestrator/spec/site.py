"""What a site asks of every job, whatever the search: the contents of a profile that are no options.

It is a part of the specification, so that a resume does the same wherever it is typed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from orchestrator.spec.frozen import Frozen
from orchestrator.spec.sbatch import INSTEAD, OURS, option_name

GpuOption = Literal["gpus-per-node", "gres", "gpus", "gpus-per-task"]
_WORD = r"[A-Za-z0-9_.-]+"


def _one_line(text: str) -> str:
    """Refuse what would end a line of a script early and begin another one."""
    if any(character in text for character in "\n\r\0"):
        raise ValueError("it must be one line")
    return text


def _a_text(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError("it is empty, or holds a NUL character")
    return text.strip()


OneLine = Annotated[str, AfterValidator(_one_line)]


class Site(Frozen):
    """What a site wants.

    Attributes:
        profile: Name of the profile that it comes from; None: from the command line alone.
        cluster: Name for `-M` of every command of Slurm; None: the one that they ask by themselves.
        setup: Texts of bash that run on the node before a trial, in their order; a trial whose
            setup fails does not begin.
        sbatch: Further options of sbatch for the trials; an empty value: one that takes none.
        omit: Options of sbatch that this site refuses, and that are never sent.
        gpu_option: By which option the GPUs of a trial are asked for.
        gpu_type: Type of GPU, as in `gres:gpu:TYPE:1`; None: any.
        head_sbatch: Options of sbatch for the job of a head; they win over what follows from the
            trials' options.
        mail_user: Whom Slurm writes to about the job of a head; None: to nobody. Never about
            trials: there are thousands.
        mail_type: About what.
    """

    profile: str | None = None
    cluster: str | None = Field(default=None, pattern=f"^{_WORD}$")
    setup: tuple[Annotated[str, AfterValidator(_a_text)], ...] = ()
    sbatch: Mapping[str, OneLine] = Field(default_factory=dict)
    omit: tuple[str, ...] = ()
    gpu_option: GpuOption = "gpus-per-node"
    gpu_type: str | None = Field(default=None, pattern=f"^{_WORD}$")
    head_sbatch: Mapping[str, OneLine] = Field(default_factory=dict)
    mail_user: OneLine | None = None
    mail_type: tuple[OneLine, ...] = ("END", "FAIL")

    @field_validator("sbatch")
    @classmethod
    def _not_ours(cls, given: Mapping[str, str]) -> Mapping[str, str]:
        named = _named(given)
        for name in named:
            if name in INSTEAD:
                raise ValueError(f"{name} is not for here: {INSTEAD[name]}")
        return named

    @field_validator("head_sbatch")
    @classmethod
    def _for_a_head(cls, given: Mapping[str, str]) -> Mapping[str, str]:
        named = _named(given)
        for name in named:
            if name in {"array", "wrap", "test-only", "wait", "parsable", "clusters"}:
                raise ValueError(f"{name} makes no sense for the job of a head")
        return named

    @field_validator("omit")
    @classmethod
    def _can_do_without(cls, given: Sequence[str]) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(option_name(text) for text in given))
        for name in names:
            if name in OURS:
                raise ValueError(f"Headway cannot do without {name}: {INSTEAD[name]}")
        return names

    @model_validator(mode="after")
    def _fit_together(self) -> Site:
        for key, names in (("sbatch", self.sbatch), ("head_sbatch", self.head_sbatch)):
            for name in names:
                if name in self.omit:
                    raise ValueError(f"{name} is both in {key} and in omit")
        return self

    def gpu_words(self, gpus: int, nodes: int) -> tuple[str, str]:
        """Return option and value that ask for so many GPUs a node.

        Args:
            gpus: GPUs on each node, above 0.
            nodes: Nodes of the trial.
        """
        count = gpus * nodes if self.gpu_option == "gpus" else gpus
        kind = [self.gpu_type] if self.gpu_type else []
        prefix = ["gpu"] if self.gpu_option == "gres" else []
        return self.gpu_option, ":".join([*prefix, *kind, str(count)])


def _named(given: Mapping[str, str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for key, value in given.items():
        name = option_name(key)
        if name in named:
            raise ValueError(f"{name} is there twice")
        named[name] = value
    return named
