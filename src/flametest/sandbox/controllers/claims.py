"""Persistent volume claims: each gets a volume of its own as soon as it asks, and the volume goes with the claim.

This is what a dynamic provisioner does on a real cluster. The volume is a folder that the agent keeps for the claim,
named by its uid; nothing here touches the disk. Where its class asks for that, a claim waits until the scheduler has
chosen a node for its first pod, and its volume can be used on that node only, as a disk of the node's own.
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
from flametest.sandbox.storageclasses import SELECTED_NODE, STORAGE_CLASSES, waits_for_consumer

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
        waits: whether it gets a volume only on the node that the scheduler chooses.
    """

    claim: Object | None
    volume: Object | None
    left: tuple[Object, ...]
    waits: bool = False


def plan(observed: Observed) -> Plan:
    """Return the next step: make a volume, bind it and the claim to each other; take those of lost claims away."""
    claim, volume = observed.claim, observed.volume
    released = [change for each in observed.left for change in _release(each)]
    if claim is None or is_being_deleted(claim):
        return Plan(tuple(released))
    if volume is not None:
        return Plan((*released, *_binding(claim, volume)))
    node = annotations_of(claim).get(SELECTED_NODE, "") if observed.waits else ""
    # A claim that names its volume waits for somebody to bring that.
    if claim["spec"].get("volumeName") or (observed.waits and not node):
        return Plan(tuple(released))
    return Plan((*released, Create(VOLUMES, _volume(claim, node))))


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


def _volume(claim: Object, node: str) -> Object:
    """Return the volume of a claim, which only that node has where one is named."""
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
    if node:
        on_node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
        terms = [{"matchExpressions": [on_node]}]
        volume["spec"]["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
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
    watches = (CLAIMS, VOLUMES, STORAGE_CLASSES)

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the claim itself, that of a volume, or all when a class has changed."""
        if transition.resource == CLAIMS:
            return own_keys(transition)
        if transition.resource == STORAGE_CLASSES:
            return [key_of(claim) for claim in cache.objects_of(CLAIMS)]
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
        waits = claim is not None and waits_for_consumer(claim, cache.objects_of(STORAGE_CLASSES))
        return plan(Observed(claim, named if free else None, left, waits))


def _is_bound_to(volume: Object, key: Key) -> bool:
    claim = volume["spec"].get("claimRef") or {}
    return (claim.get("namespace"), claim.get("name")) == (key.namespace, key.name)
