"""What all parts of a specification share: they never change, and they can be written as JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import UsageError


class Frozen(BaseModel):
    """A value that is fixed once made; unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def usage_error(where: str, error: ValidationError) -> UsageError:
    """Turn the first complaint of a model into one line for the user.

    Args:
        where: The option that the value came from, and which one of several, e.g.
            `--parameter lr`.
        error: What pydantic said.
    """
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    field = ".".join(str(part) for part in first["loc"])
    return UsageError(f"{where}: {cause or field + ': ' + first['msg']}")
