"""Which libraries have a say in what a generator proposes, and their versions."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

# Distributions by the generator that calculates with them, beyond those that all of them use.
_ALL = ("headway", "numpy", "scipy")
_OWN = {
    "TPE": ("optuna",),
    "BOTORCH_MODULAR": ("ax-platform", "botorch", "gpytorch", "linear-operator", "torch"),
}


def library_versions(generators: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of the libraries that these generators calculate with.

    The same seeds and results give the same points only with the same versions. What is not
    installed is left out. Nothing is imported.
    """
    names = [*_ALL, *(name for each in sorted(set(generators)) for name in _OWN.get(each, ()))]
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
