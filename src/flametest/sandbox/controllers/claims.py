"""Persistent volume claims: each gets a volume of its own as soon as it asks, and the volume goes with the claim.

This is what a dynamic provisioner does on a real cluster. The volume is a folder that the agent keeps for the claim,
named by its uid; nothing here touches the disk.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Change, Create, Delete, Failure, Key, Note, Plan, Update, UpdateStatus
from flametest.sandbox.controllers.metadata import (
    annotations_of,
    is_being_deleted,
    key_of,
    own_keys,
    reference_of,
    with_annotations,
    with_spec,
    with_status,
)
from flametest.sandbox.objects import Object

__all__ = ["ClaimController", "Observed", "plan"]

CLAIMS = "persistentvolumeclaims"
VOLUMES = "persistentvolumes"
_PROVISIONER = "flametest.dev/folder"
_BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
_BOUND = {_BIND_COMPLETED: "yes", "pv.kubernetes.io/bound-by-controller": "yes"}
_PROVISIONED_ANNOTATION = "pv.kubernetes.io/provisioned-by"


@dataclass(frozen=True, slots=True)
class Observed:
    """What a decision about the claim of one name rests on.

    Attributes:
        claim: the object; None for one that is gone.
        volume: the volume that is bound to it, or that it asks for by name and that is free; None for none.
        left: volumes that were bound to an earlier claim of this name.
    """

    claim: Object | None
    volume: Object | None
    left: tuple[Object, ...]


def plan(observed: Observed) -> Plan:
    """Return the next step: make a volume, bind it and the claim to each other; take those of lost claims away."""
    claim, volume = observed.claim, observed.volume
    released = [change for each in observed.left for change in _release(each)]
    if claim is None or is_being_deleted(claim):
        return Plan(tuple(released))
    if volume is not None:
        return Plan((*released, *_binding(claim, volume)))
    # A claim that names its volume waits for somebody to bring that.
    made = () if claim["spec"].get("volumeName") else (Create(VOLUMES, _volume(claim)),)
    return Plan((*released, *made))


def _release(volume: Object) -> tuple[Change, ...]:
    if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete" and _is_provisioned(volume):
        return () if is_being_deleted(volume) else (Delete(reference_of(VOLUMES, volume), volume["metadata"]["uid"]),)
    status: Object = volume.get("status") or {}
    if status.get("phase") == "Released":
        return ()
    return (UpdateStatus(VOLUMES, with_status(volume, {**status, "phase": "Released"})),)


def _is_provisioned(volume: Object) -> bool:
    return _PROVISIONED_ANNOTATION in annotations_of(volume)


def volume_name(claim: Object) -> str:
    """Return the name of the volume that is made for a claim."""
    return str(claim["spec"].get("volumeName") or f"pvc-{claim['metadata']['uid']}")


def _volume(claim: Object) -> Object:
    metadata, spec, name = claim["metadata"], claim["spec"], volume_name(claim)
    wanted = ((spec.get("resources") or {}).get("requests") or {}).get("storage", "1Gi")
    volume: Object = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_PROVISIONED_ANNOTATION: _PROVISIONER}},
        "spec": {
            "capacity": {"storage": wanted},
            "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
            "claimRef": _claim_reference(claim),
            "persistentVolumeReclaimPolicy": "Delete",
            "hostPath": {"path": f"/var/lib/flametest/claims/{metadata['uid']}", "type": "DirectoryOrCreate"},
            "volumeMode": spec.get("volumeMode") or "Filesystem",
        },
    }
    if spec.get("storageClassName"):
        volume["spec"]["storageClassName"] = spec["storageClassName"]
    return volume


def _claim_reference(claim: Object) -> Object:
    metadata = claim["metadata"]
    return {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def _binding(claim: Object, volume: Object) -> tuple[Change, ...]:
    changes: list[Change] = []
    name, spec = volume["metadata"]["name"], volume["spec"]
    if (spec.get("claimRef") or {}).get("uid") != claim["metadata"]["uid"]:
        volume = with_spec(volume, claimRef=_claim_reference(claim))
        changes.append(Update(VOLUMES, volume))
    volume_status: Object = volume.get("status") or {}
    if volume_status.get("phase") != "Bound":
        changes.append(UpdateStatus(VOLUMES, with_status(volume, {**volume_status, "phase": "Bound"})))
    if annotations_of(claim).get(_BIND_COMPLETED) != "yes" or claim["spec"].get("volumeName") != name:
        claim = with_annotations(with_spec(claim, volumeName=name), {**annotations_of(claim), **_BOUND})
        note = Note(claim, "ProvisioningSucceeded", f"Successfully provisioned volume {name}")
        changes.append(Update(CLAIMS, claim, note if _is_provisioned(volume) else None))
    status = {"phase": "Bound", "accessModes": spec["accessModes"], "capacity": spec["capacity"]}
    if (claim.get("status") or {}) != status:
        changes.append(UpdateStatus(CLAIMS, with_status(claim, status)))
    return tuple(changes)


class ClaimController:
    """Feeds `plan` from the cache."""

    name = "persistentvolume-controller"
    watches = (CLAIMS, VOLUMES)

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the claim itself, or that of a volume."""
        if transition.resource == CLAIMS:
            return own_keys(transition)
        bound = [claim for state in transition.states if (claim := state["spec"].get("claimRef"))]
        waiting = [
            key_of(claim)
            for claim in cache.objects_of(CLAIMS)
            if claim["spec"].get("volumeName") == transition.reference.name
        ]
        return [*(Key(claim["namespace"], claim["name"]) for claim in bound), *waiting]

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for the claim of this name, which may be gone."""
        claim = cache.get(CLAIMS, key.namespace, key.name)
        uid = claim["metadata"]["uid"] if claim else ""
        bound = [each for each in cache.objects_of(VOLUMES) if _is_bound_to(each, key)]
        left = tuple(each for each in bound if each["spec"]["claimRef"].get("uid") not in (None, "", uid))
        named = None if claim is None else cache.get(VOLUMES, "", volume_name(claim))
        free = named is not None and (not named["spec"].get("claimRef") or named in bound) and named not in left
        return plan(Observed(claim, named if free else None, left))


def _is_bound_to(volume: Object, key: Key) -> bool:
    claim = volume["spec"].get("claimRef") or {}
    return (claim.get("namespace"), claim.get("name")) == (key.namespace, key.name)
