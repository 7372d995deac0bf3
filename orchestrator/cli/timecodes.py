"""Time codes in the name of a group: `sweep_%Y_%U_%a` names the week and the day of the start."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import datetime

# What Python documents for strftime on every system (docs.python.org, strftime format codes);
# others differ between C libraries.
CODES = "aAwdbBmyYHIpMSfzZjUWcxXGuV%"


def group(text: str) -> str:
    """Read the name of a group and make sure that each % begins a code; argparse calls this.

    Raises:
        ArgumentTypeError: It is empty, or holds a code that nobody knows.
    """
    if not text.strip():
        raise ArgumentTypeError("it is empty")
    for code in text.split("%%"):
        for after in code.split("%")[1:]:
            if not after:
                raise ArgumentTypeError(f"{text!r} ends in a lone %; write %% for a percent sign")
            if after[0] not in CODES:
                raise ArgumentTypeError(
                    f"{text!r}: %{after[0]} is no time code; allowed are "
                    f"{' '.join('%' + known for known in CODES)}"
                )
    return text


def expand(text: str, moment: datetime) -> str:
    """Put a time into the codes of a text that `group` has read.

    Args:
        text: The text.
        moment: The time, in the zone that the codes mean.
    """
    return moment.strftime(text)
