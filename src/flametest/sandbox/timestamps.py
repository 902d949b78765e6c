"""Times as the API writes them: RFC 3339 in UTC, to the second (metav1.Time) or the microsecond (metav1.MicroTime)."""

from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "format_micro_time", "format_time", "parse_time", "utc_now"]

Clock = Callable[[], datetime]
"""Returns the present time with its zone."""


def utc_now() -> datetime:
    """Return the wall clock's time in UTC."""
    return datetime.now(UTC)


def format_time(moment: datetime) -> str:
    """Return a time to the second, as in ``2026-01-31T12:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(moment: datetime) -> str:
    """Return a time to the microsecond, as Leases and Events of the newer kind have it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """Return the time that the API wrote.

    Raises:
        ValueError: the text is no RFC 3339 time.
    """
    return datetime.fromisoformat(text)
