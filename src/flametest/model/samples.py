"""Samples: one row for each request that was offered to the system under test.

The prober and Locust write them as CSV while they run, each into a file of its own; `SAMPLE_COLUMNS` is the
contract between those writers and `flametest.measure.samples`, which reads them as columns.
"""

from enum import StrEnum
from typing import NamedTuple

__all__ = ["COLUMNS_WITHOUT_IDS", "OWN_ERROR", "SAMPLE_COLUMNS", "Lane", "Outcome", "Sample"]

OWN_ERROR = "generator:"
"""What the error of a request begins with that never left, because the machine that sends was at its own limits."""


class Outcome(StrEnum):
    """What a client knows of its request.

    ``unknown`` is a request that may have taken effect though no answer said so: a time limit or a reset after
    sending. For a request that only reads it counts as bad, as ``failed`` does.
    """

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Lane(StrEnum):
    """Who sent a request."""

    FRESH = "prober-fresh"  # the prober, with a connection of its own for each request
    KEEPALIVE = "prober-keepalive"  # the prober, on one connection that is kept
    LOAD = "load"  # Locust


class Sample(NamedTuple):
    """One request. All stamps are `time.monotonic_ns` of the one machine that sends.

    Attributes:
        lane: who sent it.
        name: what was asked for, such as ``GET /hits``.
        intended_ns: when the open-loop schedule wanted it sent; latency counts from here.
        sent_ns: when it was sent in fact.
        done_ns: when its outcome was known.
        outcome: ok for a status under 300, and of the load for what its load test counts as a success.
        status: HTTP status; 0 when there was no answer.
        served_by: the pod that answered, from the header X-Served-By; empty when unknown.
        error: a short class such as ``refused``, ``reset``, ``timeout``, or ``generator: EMFILE``; empty when ok.
        trace_id: the id that it carried, see `flametest.model.requestids`; empty for none.
    """

    lane: Lane
    name: str
    intended_ns: int
    sent_ns: int
    done_ns: int
    outcome: Outcome
    status: int
    served_by: str
    error: str
    trace_id: str = ""


SAMPLE_COLUMNS: tuple[str, ...] = Sample._fields

COLUMNS_WITHOUT_IDS = SAMPLE_COLUMNS[: SAMPLE_COLUMNS.index("trace_id")]
"""Those of files that were written before requests carried ids; they are read all the same."""
