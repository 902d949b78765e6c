"""Defaults of claims, volumes and storage classes."""

from flametest.sandbox.objects import Object

__all__ = ["default_claim", "default_storage_class", "default_volume", "prepare_claim", "prepare_volume"]

CLAIM_PROTECTION = "kubernetes.io/pvc-protection"


def prepare_claim(claim: Object) -> None:
    """Make a new claim pending, and protected while a pod uses it."""
    claim["status"] = {"phase": "Pending"}
    finalizers = claim["metadata"].setdefault("finalizers", [])
    if CLAIM_PROTECTION not in finalizers:
        finalizers.append(CLAIM_PROTECTION)


def default_claim(claim: Object) -> None:
    """Fill in a claim."""
    claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")


def prepare_volume(volume: Object) -> None:
    """Make a new volume pending."""
    volume["status"] = {"phase": "Pending"}


def default_volume(volume: Object) -> None:
    """Fill in a volume."""
    spec = volume.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")


def default_storage_class(storage_class: Object) -> None:
    """Fill in a storage class."""
    storage_class.setdefault("reclaimPolicy", "Delete")
    storage_class.setdefault("volumeBindingMode", "Immediate")
