"""The database systems that the tests here run on."""

from __future__ import annotations

import pytest

KINDS = {
    "sqlite": pytest.param("sqlite", id="sqlite"),
    "postgres": pytest.param("postgres", id="postgres", marks=pytest.mark.postgres),
    "mysql": pytest.param("mysql", id="mysql", marks=pytest.mark.mysql),
}


def only(*kinds: str) -> pytest.MarkDecorator:
    """Run a test on these systems alone: what it is about does not exist on the others."""
    return pytest.mark.parametrize("kind", [KINDS[kind] for kind in kinds], indirect=True)
