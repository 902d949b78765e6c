"""What is refused of claims, volumes and storage classes."""

from flametest.sandbox.apiserver.failures import Cause, bad_value, forbidden_value, required, unsupported_value
from flametest.sandbox.objects import Object
from flametest.sandbox.quantities import parse_quantity

__all__ = ["check_claim", "check_claim_update", "check_storage_class", "check_volume"]

_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def _check_modes(spec: Object) -> list[Cause]:
    if not spec.get("accessModes"):
        return [required("spec.accessModes", "at least 1 access mode is required")]
    return [unsupported_value("spec.accessModes", mode, _MODES) for mode in spec["accessModes"] if mode not in _MODES]


def _check_size(text: str | None, field: str) -> list[Cause]:
    if text is None:
        return [required(field)]
    return [] if parse_quantity(text) > 0 else [bad_value(field, text, "must be greater than zero")]


def check_claim(claim: Object) -> list[Cause]:
    """Return the faults of a claim."""
    spec = claim["spec"]
    size = spec.get("resources", {}).get("requests", {}).get("storage")
    return _check_modes(spec) + _check_size(size, "spec.resources[storage]")


def check_claim_update(new: Object, old: Object) -> list[Cause]:
    """Return the fault of a change of a claim other than binding it and asking for more."""
    changing = ("resources", "volumeName", "volumeAttributesClassName")
    fixed = [{k: v for k, v in obj["spec"].items() if k not in changing} for obj in (new, old)]
    bound, rebound = old["spec"].get("volumeName"), new["spec"].get("volumeName")
    if fixed[0] == fixed[1] and bound in (None, rebound):
        return []
    detail = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
    return [forbidden_value("spec", detail)]


def check_volume(volume: Object) -> list[Cause]:
    """Return the faults of a volume."""
    spec = volume["spec"]
    return _check_modes(spec) + _check_size(spec.get("capacity", {}).get("storage"), "spec.capacity[storage]")


def check_storage_class(storage_class: Object) -> list[Cause]:
    """Return the faults of a storage class."""
    return [] if storage_class.get("provisioner") else [required("provisioner")]
