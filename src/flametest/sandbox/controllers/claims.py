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
_BOUND = {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"}
_PROVISIONED_ANNOTATION = "pv.kubernetes.io/provisioned-by"


@dataclass(frozen=True, slots=True)
class Observed:
    """A claim (None: gone) and the volume that is or was bound to it (None: none yet)."""

    claim: Object | None
    volume: Object | None


def plan(observed: Observed) -> Plan:
    """Return the next step: make a volume, bind the claim to it, or take the volume of a lost claim away."""
    claim, volume = observed.claim, observed.volume
    if claim is None or (volume is not None and volume["spec"]["claimRef"]["uid"] != claim["metadata"]["uid"]):
        return Plan(_release(volume))
    if is_being_deleted(claim):
        return Plan()
    if volume is None:
        return Plan((Create(VOLUMES, _volume(claim)),))
    return Plan((*_volume_status(volume), *_binding(claim, volume)))


def _release(volume: Object | None) -> tuple[Change, ...]:
    if volume is None or _PROVISIONED_ANNOTATION not in annotations_of(volume):
        return ()
    if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
        return () if is_being_deleted(volume) else (Delete(reference_of(VOLUMES, volume), volume["metadata"]["uid"]),)
    if (volume.get("status") or {}).get("phase") == "Released":
        return ()
    return (UpdateStatus(VOLUMES, with_status(volume, {"phase": "Released"})),)


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
            "claimRef": {
                "kind": "PersistentVolumeClaim",
                "apiVersion": "v1",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
            },
            "persistentVolumeReclaimPolicy": "Delete",
            "hostPath": {"path": f"/var/lib/flametest/claims/{metadata['uid']}", "type": "DirectoryOrCreate"},
            "volumeMode": spec.get("volumeMode") or "Filesystem",
        },
    }
    if spec.get("storageClassName"):
        volume["spec"]["storageClassName"] = spec["storageClassName"]
    return volume


def _volume_status(volume: Object) -> tuple[Change, ...]:
    status: Object = volume.get("status") or {}
    bound = status.get("phase") == "Bound"
    return () if bound else (UpdateStatus(VOLUMES, with_status(volume, {**status, "phase": "Bound"})),)


def _binding(claim: Object, volume: Object) -> tuple[Change, ...]:
    changes: list[Change] = []
    name = volume["metadata"]["name"]
    if claim["spec"].get("volumeName") != name:
        claim = with_annotations(with_spec(claim, volumeName=name), {**annotations_of(claim), **_BOUND})
        message = f"Successfully provisioned volume {name}"
        changes.append(Update(CLAIMS, claim, Note(claim, "ProvisioningSucceeded", message)))
    spec = volume["spec"]
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
        claims = [state["spec"].get("claimRef") for state in transition.states]
        return [Key(claim["namespace"], claim["name"]) for claim in claims if claim]

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for the claim of this name, which may be gone."""
        claim = cache.get(CLAIMS, key.namespace, key.name)
        named = None if claim is None else cache.get(VOLUMES, "", volume_name(claim))
        volume = named or next((each for each in cache.objects_of(VOLUMES) if _is_claimed_by(each, key)), None)
        return plan(Observed(claim, volume))


def _is_claimed_by(volume: Object, key: Key) -> bool:
    claim = volume["spec"].get("claimRef") or {}
    return (claim.get("namespace"), claim.get("name")) == (key.namespace, key.name)
