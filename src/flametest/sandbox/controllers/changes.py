"""What a controller decides: changes to objects, as values that the shared loop carries out in their order."""

from dataclasses import dataclass
from typing import Literal

from flametest.sandbox.cache import Reference
from flametest.sandbox.objects import Object

__all__ = ["Change", "Create", "Delete", "Failure", "Key", "Note", "Plan", "Update", "UpdateStatus"]


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The object that a controller has to look at; the namespace is empty where there is none."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Note:
    """An event to record about an object. ``{name}`` in the message stands for the object that was made or deleted."""

    about: Object
    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"


@dataclass(frozen=True, slots=True)
class Create:
    """Make an object; the API names one that has generateName. ``note`` is recorded once it is made.

    ``failure`` is recorded when it cannot be made, with ``{error}`` for the reason.
    """

    resource: str
    object: Object
    note: Note | None = None
    failure: Note | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """Replace an object, but not its status; ``note`` is recorded once that is done."""

    resource: str
    object: Object
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class UpdateStatus:
    """Replace the status of an object."""

    resource: str
    object: Object


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object, of this unique identifier and no other; one that is gone already is no failure.

    ``grace_seconds`` 0 removes a pod without asking its node; None is the pod's own.
    """

    reference: Reference
    uid: str
    note: Note | None = None
    propagation: Literal["Background", "Foreground", "Orphan"] = "Background"
    grace_seconds: int | None = None


Change = Create | Update | UpdateStatus | Delete | Note


@dataclass(frozen=True, slots=True)
class Plan:
    """What to change now, and after how many seconds to look again although nothing happened (None: not)."""

    changes: tuple[Change, ...] = ()
    revisit_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last plan for a key was not carried out in full: the change that failed and what the API answered."""

    change: Change
    message: str
