"""What goes into the registry's verbs and what comes out: options of writes, selections of lists, results.

Plain values that HTTP handlers and the registry exchange; they know neither.
"""

from dataclasses import dataclass, field

from flametest.sandbox.apiserver.lifecycle import FieldValidation
from flametest.sandbox.apiserver.selectors import FieldRequirement, Requirement, matches_fields, matches_labels
from flametest.sandbox.store import Key, Record

__all__ = ["Deleted", "Listing", "Selection", "WriteOptions", "Written"]


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a write is done.

    Attributes:
        dry_run: do everything but store.
        field_validation: what becomes of unknown fields.
        manager: who writes, for the ownership that server-side apply keeps; empty for the cluster's own parts.
        applied: the object brings its own managedFields, as `Registry.apply` worked them out.
    """

    dry_run: bool = False
    field_validation: FieldValidation = "Strict"
    manager: str = ""
    applied: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """What a write left: the object's JSON, warnings for the client, and whether the object is new."""

    record: Record
    warnings: list[str] = field(default_factory=list)
    created: bool = False


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion left: the object's last or present state, and whether it is gone."""

    record: Record
    gone: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects a list holds; ``limit`` 0 is all, ``after`` is the last key of the page before."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[FieldRequirement, ...] = ()
    limit: int = 0
    after: Key | None = None

    def matches(self, key: Key, record: Record) -> bool:
        """Return whether an object is selected."""
        if not matches_labels(self.labels, record.labels):
            return False
        for one in self.fields:
            # The two fields that most requests select by need no parsing of the object.
            if one.path == "metadata.name":
                matched = (key[1] == one.value) == one.equal
            elif one.path == "metadata.namespace":
                matched = (key[0] == one.value) == one.equal
            else:
                matched = matches_fields((one,), record.load())
            if not matched:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a list: its records, the store's version, and where the next page starts (None: no more)."""

    records: list[Record]
    version: int
    last_key: Key | None
