"""What the columns of all kinds are made of: the `Column`, ages, and columns that many kinds share."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flametest.sandbox.apiserver.selectors import label_selector_of, selector_text
from flametest.sandbox.objects import Object

__all__ = ["AGE", "NAME", "NONE", "Column", "age_text", "basic_columns", "duration_text", "parse_time", "pod_columns"]

NONE = "<none>"
UNKNOWN = "<unknown>"
Cell = Callable[[Object, datetime], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: as kubectl prints it, in capitals.
        cell: returns an object's cell at a time.
        type: ``string``, ``integer`` or ``boolean``.
        wide: shown by ``-o wide`` only.
        format: ``name`` for the column that names the object.
    """

    name: str
    cell: Cell
    type: str = "string"
    wide: bool = False
    format: str = ""


def parse_time(text: str) -> datetime:
    """Return the time that the API writes as text."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def duration_text(seconds: float) -> str:
    """Return a duration as short as kubectl prints it: ``8s``, ``5m30s``, ``3h20m``, ``2d5h``, ``40d``."""
    whole = int(seconds)
    if whole < 0:
        return "<invalid>" if whole < -1 else "0s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86_400
    for limit, unit, rest, rest_unit in (
        (minutes < 2, f"{whole}s", 0, ""),
        (minutes < 10, f"{minutes}m", whole % 60, "s"),
        (hours < 3, f"{minutes}m", 0, ""),
        (hours < 8, f"{hours}h", minutes % 60, "m"),
        (hours < 48, f"{hours}h", 0, ""),
        (days < 8, f"{days}d", hours % 24, "h"),
        (days < 730, f"{days}d", 0, ""),
    ):
        if limit:
            return unit + (f"{rest}{rest_unit}" if rest else "")
    years, rest_days = days // 365, days % 365
    return f"{years}y{rest_days}d" if years < 8 and rest_days else f"{years}y"


def age_text(text: str | None, now: datetime) -> str:
    """Return how long ago a time was; ``<unknown>`` where there is none."""
    return duration_text((now - parse_time(text)).total_seconds()) if text else UNKNOWN


NAME = Column("Name", lambda obj, _: obj["metadata"]["name"], format="name")
AGE = Column("Age", lambda obj, now: age_text(obj["metadata"].get("creationTimestamp"), now))


def basic_columns(*between: Column) -> tuple[Column, ...]:
    """Return the name, the columns given, the age."""
    return (NAME, *between, AGE)


def pod_columns(template: Callable[[Object], Object], *, selector: bool) -> tuple[Column, ...]:
    """Return the wide columns of a workload: names and images of containers, and its selector."""

    def names(obj: Object, _: datetime) -> str:
        return ",".join(container["name"] for container in template(obj)["spec"].get("containers", ()))

    def images(obj: Object, _: datetime) -> str:
        return ",".join(container.get("image", "") for container in template(obj)["spec"].get("containers", ()))

    columns = (Column("Containers", names, wide=True), Column("Images", images, wide=True))
    if not selector:
        return columns
    chosen = Column("Selector", lambda obj, _: selector_text(label_selector_of(obj)) or NONE, wide=True)
    return (*columns, chosen)
