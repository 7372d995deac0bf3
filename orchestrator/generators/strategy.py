"""Which generators there are, and which one is asked for the next point."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.errors import UsageError, did_you_mean
from orchestrator.generators.ax import BotorchGenerator
from orchestrator.generators.base import Generator
from orchestrator.generators.optuna import TpeGenerator
from orchestrator.generators.qmc import QmcGenerator, UniformGenerator
from orchestrator.spec.objectives import Objective
from orchestrator.spec.space import Space
from orchestrator.spec.strategy import Strategy

Objectives = Sequence[Objective]
AUTO = "auto"
FALLBACK = "SOBOL"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One generator of the registry.

    Attributes:
        make: Makes it for a space and objectives; imports nothing heavy.
        library: What it imports at its first ask, so that it can be imported ahead.
        says: What it is, in a few words.
        is_model: Whether it learns from results; the others go the same way whatever comes out.
        takes_linear: Whether linear constraints shape its points; every other one is told afterwards
            which of its points meet them.
        packages: What has to be installed for it, beyond Headway's own dependencies.
        extra: The extra of Headway that installs them.
    """

    make: Callable[[Space, Objectives], Generator]
    library: str
    says: str
    is_model: bool = False
    takes_linear: bool = False
    packages: tuple[str, ...] = ()
    extra: str = ""

    def is_installed(self) -> bool:
        """Whether all its packages can be found; imports none of them."""
        return all(importlib.util.find_spec(package) is not None for package in self.packages)


_KINDS = {
    "SOBOL": Kind(
        make=lambda space, _: QmcGenerator(space, sequence="SOBOL"),
        library="scipy.stats.qmc",
        says="scrambled Sobol points, spread evenly",
    ),
    "HALTON": Kind(
        make=lambda space, _: QmcGenerator(space, sequence="HALTON"),
        library="scipy.stats.qmc",
        says="scrambled Halton points, spread evenly",
    ),
    "UNIFORM": Kind(
        make=lambda space, _: UniformGenerator(space),
        library="numpy",
        says="independent random points",
    ),
    "TPE": Kind(
        make=TpeGenerator,
        library="optuna",
        says="tree-structured Parzen estimator (Optuna)",
        is_model=True,
    ),
    "BOTORCH_MODULAR": Kind(
        make=BotorchGenerator,
        library="ax.adapter.registry",
        says="Gaussian processes (Ax and BoTorch)",
        is_model=True,
        takes_linear=True,
        packages=("ax", "torch"),
        extra="botorch",
    ),
}
_ALIASES = {"PSEUDORANDOM": "UNIFORM", "MOTPE": "TPE", "BOTORCH": "BOTORCH_MODULAR"}
# What users of OmniOpt2, Ax and Optuna may ask for and will get; refused in so many words until then.
_NOT_YET = frozenset(
    {
        "BO_MIXED",
        "CMAES",
        "EXTERNAL_GENERATOR",
        "FACTORIAL",
        "GP",
        "GRID",
        "NSGAII",
        "NSGAIII",
        "QMC",
        "RANDOMFOREST",
        "SAASBO",
    }
)


def kinds() -> list[tuple[str, Kind, list[str]]]:
    """Return every generator with its other names, in the order of the registry."""
    return [
        (name, kind, [alias for alias, target in _ALIASES.items() if target == name])
        for name, kind in _KINDS.items()
    ]


def not_yet() -> list[str]:
    """Return the names that a later Headway will know, in the order of the alphabet."""
    return sorted(_NOT_YET)


def known_names() -> list[str]:
    """Return the names that can be asked for, aliases too, in the order of the alphabet."""
    return sorted({*_KINDS, *_ALIASES})


def resolve_model(name: str, *, option: str = "--model") -> str:
    """Return the generator that a name stands for.

    Args:
        name: A name or an alias in upper or lower case, or `auto`: BoTorch where it is installed,
            else TPE.
        option: What the user gave the name with, for the error.

    Raises:
        UsageError: There is no such generator, not yet, or its extra is not installed.
    """
    word = name.strip().upper()
    if word == AUTO.upper():
        return "BOTORCH_MODULAR" if _KINDS["BOTORCH_MODULAR"].is_installed() else "TPE"
    word = _ALIASES.get(word, word)
    allowed = ", ".join([AUTO, *known_names()])
    if word in _NOT_YET:
        raise UsageError(f"{option} {name}: not yet available; allowed are {allowed}.")
    if word not in _KINDS:
        hint = did_you_mean(name, [AUTO, *known_names(), *_NOT_YET])
        raise UsageError(f"{option} {name}: unknown model; allowed are {allowed}.", hint)
    kind = _KINDS[word]
    if not kind.is_installed():
        raise UsageError(
            f"{option} {name}: {' and '.join(kind.packages)} are not installed.",
            f"Install them with: pip install 'headway[{kind.extra}]'",
        )
    return word


def make_generator(name: str, space: Space, objectives: Objectives) -> Generator:
    """Make a generator; it imports its library at its first ask.

    Args:
        name: As `resolve_model` takes it.
        space: What to search.
        objectives: What to make small or large, at least one.

    Raises:
        UsageError: As `resolve_model`.
    """
    return _KINDS[resolve_model(name)].make(space, objectives)


def import_library(name: str) -> None:
    """Import what a generator will need at its first ask; takes up to 15 s.

    Raises:
        UsageError: As `resolve_model`.
        ImportError: The library is broken.
    """
    importlib.import_module(_KINDS[resolve_model(name)].library)


def node_for(strategy: Strategy, proposed: Sequence[int], observed: int) -> tuple[int, str | None]:
    """Decide for which step of the strategy the next point counts.

    Steps are filled in their order. When all are full, the last one goes on: how many trials there
    are in all is not the strategy's business.

    Args:
        strategy: The steps, at least one.
        proposed: How many points each step has given so far, fallbacks for it included; steps
            that are missing at the end have given none.
        observed: How many trials have a result.

    Returns:
        The step's position, and why its own generator cannot be asked yet: then the fallback is
        asked and its point counts for the step, so that no slot waits. None: it can be asked.
    """
    given = [*proposed, *([0] * len(strategy.nodes))]
    last = len(strategy.nodes) - 1
    position = next(
        (
            i
            for i, node in enumerate(strategy.nodes)
            if node.num_trials is None or given[i] < node.num_trials
        ),
        last,
    )
    node = strategy.nodes[position]
    if observed >= node.min_observed:
        return position, None
    trials = "trial" if node.min_observed == 1 else "trials"
    reason = f"{node.generator} waits for {node.min_observed} observed {trials}, {observed} so far"
    return position, reason
