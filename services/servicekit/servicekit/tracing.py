"""The trace that a request belongs to, passed on by W3C Trace Context: https://www.w3.org/TR/trace-context/.

A service keeps the trace id, what its caller says of sampling and its ``tracestate``, and names itself as the parent of
what it asks others. A request without a trace, or with one that cannot be read, begins one that nobody has to keep.
"""

import contextvars
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Trace", "accepted_trace", "trace"]

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_STATE = re.compile(r"[!-~ ]{1,512}")
_VERSION, _SAMPLED = "00", 1


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace: its id, 32 hexadecimal digits; whether the caller asks to keep it; and what tracing systems add."""

    trace_id: str
    sampled: bool = False
    state: str = ""

    def headers(self) -> dict[str, str]:
        """Return what a request to another service carries, each with a parent id of its own."""
        parent = f"{_VERSION}-{self.trace_id}-{os.urandom(8).hex()}-{_SAMPLED if self.sampled else 0:02x}"
        return {"traceparent": parent} | ({"tracestate": self.state} if self.state else {})


trace: contextvars.ContextVar[Trace | None] = contextvars.ContextVar("trace", default=None)


def accepted_trace(headers: Iterable[tuple[bytes, bytes]]) -> Trace:
    """Return the trace that the headers of a request name, or a new one."""
    found = {name: value.decode("latin-1") for name, value in headers if name in (b"traceparent", b"tracestate")}
    parent = _TRACEPARENT.fullmatch(found.get(b"traceparent", ""))
    if parent is None or not parent.group(1).strip("0") or not parent.group(2).strip("0"):
        return Trace(os.urandom(16).hex())
    state = found.get(b"tracestate", "")
    sampled = bool(int(parent.group(3), 16) & _SAMPLED)
    return Trace(parent.group(1), sampled, state if _STATE.fullmatch(state) else "")
