"""Schedules of cron: five fields, or a name such as @hourly, and the times that they mean.

Pure. Format: https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["Schedule", "parse_schedule"]

_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))

# How far a time is looked for: the 29th of February comes after eight years at the latest.
_DAYS_MAX = 366 * 8 + 2


@dataclass(frozen=True, slots=True)
class Schedule:
    """The minutes, hours, days, months and weekdays at which something is due.

    ``any_day`` and ``any_weekday`` say that the field was a star: two restricted ones are joined by "or".
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first time after ``moment``, in its zone; None for a schedule that never comes."""
        minute = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        for _ in range(_DAYS_MAX):
            if self._is_day(minute):
                found = self._in_day(minute)
                if found is not None:
                    return found
            minute = (minute + timedelta(days=1)).replace(hour=0, minute=0)
        return None

    def _is_day(self, moment: datetime) -> bool:
        day, weekday = moment.day in self.days, moment.isoweekday() % 7 in self.weekdays
        fits = day and weekday if self.any_day or self.any_weekday else day or weekday
        return moment.month in self.months and fits

    def _in_day(self, start: datetime) -> datetime | None:
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                if (hour, minute) >= (start.hour, start.minute):
                    return start.replace(hour=hour, minute=minute)
        return None


def parse_schedule(text: str) -> Schedule:
    """Return the schedule that a text means.

    Raises:
        ValueError: it is none.
    """
    fields = _NAMED.get(text.strip(), text).split()
    if len(fields) != len(_RANGES):
        raise ValueError(f"not a schedule: {text!r}; expected five fields or a name such as @hourly")
    names: tuple[tuple[str, ...], ...] = ((), (), (), _MONTHS, _WEEKDAYS)
    minutes, hours, days, months, weekdays = (
        _field(field, low, high, known) for field, (low, high), known in zip(fields, _RANGES, names, strict=True)
    )
    stars = [field.startswith(("*", "?")) for field in fields]
    return Schedule(minutes, hours, days, months, weekdays, any_day=stars[2], any_weekday=stars[4])


def _field(text: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step_text = part.partition("/")
        step = int(step_text) if step_text else 1
        first, last = _span(span, low, high, names, open_ended=bool(step_text))
        if step < 1 or not low <= first <= last <= high + (high == 6):
            raise ValueError(f"not a field of a schedule: {text!r}; expected numbers from {low} to {high}")
        found.update(number % 7 if high == 6 else number for number in range(first, last + 1, step))
    return frozenset(found)


def _span(text: str, low: int, high: int, names: tuple[str, ...], *, open_ended: bool) -> tuple[int, int]:
    if text in ("*", "?"):
        return low, high
    start, dash, end = text.partition("-")
    first = _number(start, low, names)
    if dash:
        return first, _number(end, low, names)
    return first, high if open_ended else first


def _number(text: str, low: int, names: tuple[str, ...]) -> int:
    word = text.lower()
    return names.index(word) + low if word in names else int(text)
