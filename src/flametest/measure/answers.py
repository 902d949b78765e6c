"""Answers: what users got for their requests, by kind, from the injection on.

A request that fails can fail well or badly. A 503 with a friendly page is an answer that somebody thought of; a 500 is
an error that nobody handled (RFC 9110, section 15.6.1: an unexpected condition). The second has a criterion of its own.
"""

from collections import Counter

from flametest.measure.samples import Samples
from flametest.model.measures import AnswerCount

__all__ = ["answer_counts", "unhandled_errors"]

UNHANDLED = 500


def answer_counts(samples: Samples) -> tuple[AnswerCount, ...]:
    """Return how often each kind of answer came, the most frequent first: by status, or by error without an answer."""
    found: Counter[tuple[int, str]] = Counter()
    statuses, errors = samples.status.tolist(), samples.error_code.tolist()
    for (status, code), count in Counter(zip(statuses, errors, strict=True)).items():
        found[status, "" if status else samples.errors[code] or "no answer"] += count
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        AnswerCount(status=status, error=error, count=count, share=count / len(samples))
        for (status, error), count in ordered
    )


def unhandled_errors(samples: Samples) -> int:
    """Return how many requests were answered with status 500."""
    return int((samples.status == UNHANDLED).sum())
