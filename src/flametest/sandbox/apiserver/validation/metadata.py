"""What holds for the metadata of every kind."""

from collections.abc import Callable

from flametest.sandbox.apiserver.failures import Cause, bad_value, forbidden_value, required
from flametest.sandbox.apiserver.validation.names import check_labels, qualified_name
from flametest.sandbox.objects import Object

__all__ = ["check_metadata", "check_metadata_update"]

ANNOTATIONS_BYTES_MAX = 256 * 1024


def check_metadata(obj: Object, name_rule: Callable[[str], list[str]]) -> list[Cause]:
    """Return the faults of an object's metadata."""
    metadata = obj["metadata"]
    name = metadata.get("name", "")
    if not name:
        return [required("metadata.name", "name or generateName is required")]
    causes = [bad_value("metadata.name", name, message) for message in name_rule(name)]
    causes += check_labels(metadata.get("labels", {}), "metadata.labels")
    annotations = metadata.get("annotations", {})
    for key in annotations:
        causes += [bad_value("metadata.annotations", key, message) for message in qualified_name(key.lower())]
    if sum(len(key) + len(value) for key, value in annotations.items()) > ANNOTATIONS_BYTES_MAX:
        detail = f"may not be more than {ANNOTATIONS_BYTES_MAX} bytes"
        causes.append(Cause("metadata.annotations", "FieldValueTooLong", f"Too long: {detail}"))
    for index, finalizer in enumerate(metadata.get("finalizers", ())):
        causes += [bad_value(f"metadata.finalizers[{index}]", finalizer, m) for m in qualified_name(finalizer)]
    return causes + _check_owners(metadata.get("ownerReferences", []))


def _check_owners(owners: list[Object]) -> list[Cause]:
    causes = []
    for index, owner in enumerate(owners):
        path = f"metadata.ownerReferences[{index}]"
        causes += [required(f"{path}.{name}") for name in ("apiVersion", "kind", "name", "uid") if not owner.get(name)]
    if sum(bool(owner.get("controller")) for owner in owners) > 1:
        detail = "Only one reference can have Controller set to true"
        causes.append(bad_value("metadata.ownerReferences", owners, detail))
    return causes


def check_metadata_update(new: Object, old: Object) -> list[Cause]:
    """Return the faults of a change of metadata: an object that is being deleted takes no new finalizers."""
    if "deletionTimestamp" not in old["metadata"]:
        return []
    added = set(new["metadata"].get("finalizers", ())) - set(old["metadata"].get("finalizers", ()))
    if not added:
        return []
    detail = f"no new finalizers can be added if the object is being deleted, found new finalizers {sorted(added)}"
    return [forbidden_value("metadata.finalizers", detail)]
