"""What is particular to a kind: the hooks by which the registry prepares, defaults and checks its objects.

The catalogue (`flametest.sandbox.apiserver.resources`) gives each resource one `Behaviour`, made of functions from
the packages ``defaults`` and ``validation``. Hooks change the object that they are given or return causes; none keeps
state.
"""

from collections.abc import Callable
from dataclasses import dataclass

from flametest.sandbox.apiserver.failures import Cause
from flametest.sandbox.objects import Object

__all__ = ["Behaviour"]


def _nothing(_: Object) -> None:
    """Change nothing."""


def _keep(_: Object, __: Object) -> None:
    """Carry nothing over."""


def _no_fault(_: Object) -> list[Cause]:
    return []


def _no_change_fault(_: Object, __: Object) -> list[Cause]:
    return []


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The hooks of one kind.

    Attributes:
        prepare: on creation, before the defaults: set what the server alone decides, such as the first status.
        default: on every write: fill in what was left out.
        carry: on an update, before the checks: take over from the old object (second) into the new one (first) what
            the client may leave out.
        validate: on every write: return the faults.
        validate_update: on an update: return the faults of what changed from the old object (second).
    """

    prepare: Callable[[Object], None] = _nothing
    default: Callable[[Object], None] = _nothing
    carry: Callable[[Object, Object], None] = _keep
    validate: Callable[[Object], list[Cause]] = _no_fault
    validate_update: Callable[[Object, Object], list[Cause]] = _no_change_fault
