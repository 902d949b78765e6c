"""The ids that go with every request, so that the log lines of all pods that it reached can be found.

    traceparent: 00-<32 hexadecimal digits>-<16 hexadecimal digits>-<00 or 01>
    X-Request-ID: <the same 32 digits>

Source: W3C Trace Context, https://www.w3.org/TR/trace-context/. Both headers carry one id, since some applications log
the one and some the other; it stands in the request's sample. The last part of ``traceparent`` is 01, which asks the
application to keep the trace, only where traces are to be linked: a system that records all of them is a slower one.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "IDS_VARIABLE",
    "LINK_PLACEHOLDER",
    "LINK_VARIABLE",
    "REQUEST_ID",
    "TRACEPARENT",
    "RequestIds",
    "is_link_template",
    "trace_id_of",
]

TRACEPARENT = "traceparent"
REQUEST_ID = "X-Request-ID"
IDS_VARIABLE = "FLAMETEST_REQUEST_IDS"
"""``off`` sends requests without ids."""

LINK_VARIABLE = "FLAMETEST_TRACE_LINK"
"""The address of a trace in the user's own tracing system, with `LINK_PLACEHOLDER` in it; empty for none."""

LINK_PLACEHOLDER = "{trace_id}"

_OFF = "off"
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_LINK = re.compile(r"https?://[!-~]+")
_TRACE_BYTES, _PARENT_BYTES = 16, 8


@dataclass(frozen=True, slots=True)
class RequestIds:
    """Draws the ids of requests, as the environment asks for them.

    Attributes:
        is_on: whether requests carry ids.
        is_sampled: whether ``traceparent`` asks for the trace to be kept.
    """

    is_on: bool = True
    is_sampled: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "RequestIds":
        """Return what ``environment`` asks for."""
        return cls(environment.get(IDS_VARIABLE, "") != _OFF, bool(environment.get(LINK_VARIABLE)))

    def draw(self) -> str:
        """Return the id of a new request, 32 hexadecimal digits; empty where requests carry none.

        From the system's own randomness, since a load test may seed Python's, in all its processes alike.
        """
        return os.urandom(_TRACE_BYTES).hex() if self.is_on else ""

    def headers(self, trace_id: str) -> dict[str, str]:
        """Return the headers that carry an id; none for an empty one."""
        if not trace_id:
            return {}
        flags = "01" if self.is_sampled else "00"
        return {TRACEPARENT: f"00-{trace_id}-{os.urandom(_PARENT_BYTES).hex()}-{flags}", REQUEST_ID: trace_id}


def trace_id_of(traceparent: str) -> str:
    """Return the id that a ``traceparent`` carries; empty where it is none."""
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    return found.group(1) if found is not None and found.group(1).strip("0") else ""


def is_link_template(text: str) -> bool:
    """Return whether a text is an http or https address with a place for the id."""
    return LINK_PLACEHOLDER in text and _LINK.fullmatch(text) is not None
