"""How long Flametest waits for a cluster, by what it waits for; each may be set by the environment.

FLAMETEST_CONNECT_SECONDS        until a connection to the API server stands      5
FLAMETEST_API_SECONDS            until a request is answered                     30
FLAMETEST_LIST_SECONDS           until a page of a list is there                 60
FLAMETEST_CREDENTIALS_SECONDS    until a credential program has printed          30
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from flametest.kube.errors import ContextError

__all__ = ["TimeLimits"]

_SECONDS_MAX = 3600.0


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """What is waited for, in seconds.

    Attributes:
        connect: until a connection stands, its TLS handshake and its proxy's part included.
        api: until a request is answered in full.
        list: until a page of a list is there in full; a server with many objects reads them all for the first one.
        credentials: until a credential program has printed.
    """

    connect: float = 5.0
    api: float = 30.0
    list: float = 60.0
    credentials: float = 30.0

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "TimeLimits":
        """Return the limits that an environment sets.

        Raises:
            ContextError: one is no number of seconds.
        """
        names = {one.name: f"FLAMETEST_{one.name.upper()}_SECONDS" for one in fields(cls)}
        return cls(**{name: _seconds(text, one) for name, one in names.items() if (text := environment.get(one))})


def _seconds(text: str, variable: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _SECONDS_MAX:
        raise ContextError(f"{variable} is {text!r}; expected seconds, at most {_SECONDS_MAX:g}", "unset it")
    return seconds
