"""What a statement about a system rests on, and how certain it is. Pure."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Certainty", "Evidence"]


class Certainty(StrEnum):
    """How certain a statement is.

    SEEN stands in the objects themselves; INFERRED follows from them by a rule that ordinarily holds; GUESSED rests on
    names and customs, and may be wrong.
    """

    SEEN = "seen"
    INFERRED = "inferred"
    GUESSED = "guessed"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where what a statement rests on can be looked up.

    Attributes:
        part: the object, such as ``Deployment api``.
        field: what in it, such as ``container api, env REDIS_URL``; empty for the object as a whole.
        place: file and line where the object begins, such as ``api.yaml:12``; empty for an object of a cluster.
    """

    part: str
    field: str = ""
    place: str = ""

    @property
    def within(self) -> str:
        """Return field and place, for where the object itself was named already."""
        return ", ".join(filter(None, (self.field, self.place)))

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.part, self.field, self.place)))
