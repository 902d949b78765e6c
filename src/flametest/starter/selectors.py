"""Label selectors: whether one selects labels, and how the API takes it in a query. Pure.

Format: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

__all__ = ["Requirement", "Selector"]

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One of a selector's ``matchExpressions``; ``operator`` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Return whether labels meet it; an operator that is not known is met by none."""
        found = labels.get(self.key)
        match self.operator:
            case "In":
                return found in self.values
            case "NotIn":
                return found not in self.values
            case "Exists":
                return found is not None
            case "DoesNotExist":
                return found is None
        return False

    def __str__(self) -> str:
        match self.operator:
            case "In" if len(self.values) == 1:
                return f"{self.key}={self.values[0]}"
            case "Exists":
                return self.key
            case "DoesNotExist":
                return f"!{self.key}"
        return f"{self.key} {self.operator.lower()} ({','.join(self.values)})"


@dataclass(frozen=True, slots=True)
class Selector:
    """Requirements that all have to be met; one without any selects nothing here.

    An empty selector of a budget selects everything in Kubernetes, and an empty one of a Service nothing; a budget's is
    told from none at all where it is read.
    """

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def of_labels(cls, labels: Labels) -> Self:
        """Return the selector that wants just these labels, as a Service's does."""
        return cls(tuple(Requirement(key, "In", (value,)) for key, value in sorted(labels.items())))

    def matches(self, labels: Labels) -> bool:
        """Return whether it selects an object with these labels."""
        return bool(self.requirements) and all(one.matches(labels) for one in self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))
