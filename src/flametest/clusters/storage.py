"""Whether the claims of a system can ever be bound: by a StorageClass that makes volumes, or by a volume that is there.

Asked before anything is deployed; a claim that nothing serves is pending for ever, and its pods with it. A class that
waits for its first consumer is fine. How a claim chooses: https://kubernetes.io/docs/concepts/storage/persistent-volumes/
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flametest.clusters.protocol import ClusterError
from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError
from flametest.kube.resources import Object, Resource
from flametest.manifests import Manifest
from flametest.model.plurals import counted

__all__ = ["Claim", "Storage", "claims_of", "measure_storage"]

_CLAIMS = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
_VOLUMES = Resource("v1", "PersistentVolume", "persistentvolumes", namespaced=False)
_CLASSES = Resource("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False)
_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_NO_PROVISIONER = "kubernetes.io/no-provisioner"
_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that is going to be made.

    Attributes:
        name: its own, or that of the objects that will be made of a template, such as ``data-db-0``.
        source: the manifest's file.
        spec: its specification.
        class_name: the class that it names; None for the default one, empty for none at all.
    """

    name: str
    source: str
    spec: Mapping[str, Any]
    class_name: str | None


@dataclass(frozen=True, slots=True)
class Storage:
    """The claims that are to be bound, and what a cluster has to bind them; None where one may not ask.

    Attributes:
        claims: those that are not bound yet.
        classes: its StorageClasses.
        volumes: its PersistentVolumes.
        namespace: where the claims are made.
    """

    claims: tuple[Claim, ...]
    classes: tuple[Object, ...] | None
    volumes: tuple[Object, ...] | None
    namespace: str = ""

    def checked(self) -> str:
        """Return a sentence for people.

        Raises:
            ClusterError: a claim would be pending for ever; all are named.
        """
        if not self.claims:
            return "no claim needs a volume"
        if self.classes is None:
            return f"{counted(len(self.claims), 'claim')}; which StorageClasses there are, this user may not see"
        if self.volumes is None:
            pending = [one for one in self.claims if not self._is_made(one)]
            hidden = f"; for {len(pending)} of them there has to be one that this user may not see" if pending else ""
            gets = "gets a volume of its" if len(self.claims) == 1 else "get a volume of their"
            return f"{counted(len(self.claims), 'claim')} {gets} StorageClass{hidden}"
        pending = self._pending(self.volumes)
        if pending:
            raise self._refusal(pending)
        return f"{counted(len(self.claims), 'claim')} can be bound"

    def _pending(self, volumes: Sequence[Object]) -> list[Claim]:
        """Return the claims that nothing serves; each volume can be had once, and the smallest that fits is taken."""
        left = sorted(volumes, key=_size)
        pending = []
        for claim in self.claims:
            if self._is_made(claim):
                continue
            found = next((volume for volume in left if self._fits(claim, volume)), None)
            if found is None:
                pending.append(claim)
            else:
                left.remove(found)
        return pending

    def _is_made(self, claim: Claim) -> bool:
        """Return whether its class makes a volume for it."""
        found = self._class(claim)
        return found is not None and found.get("provisioner") != _NO_PROVISIONER and not claim.spec.get("volumeName")

    def _class(self, claim: Claim) -> Object | None:
        classes = self.classes or ()
        if claim.class_name is None:
            return next((one for one in classes if _is_default(one)), None)
        return next((one for one in classes if one["metadata"]["name"] == claim.class_name), None)

    def _fits(self, claim: Claim, volume: Object) -> bool:
        """Return whether a volume that is there can be bound to a claim."""
        spec, wanted = volume.get("spec") or {}, claim.spec
        found = self._class(claim)
        class_name = claim.class_name or (found["metadata"]["name"] if found and claim.class_name is None else "")
        owner = spec.get("claimRef") or {}
        is_free = volume.get("status", {}).get("phase", "Available") == "Available"
        is_kept = (owner.get("namespace"), owner.get("name")) == (self.namespace, claim.name)
        return (
            (is_kept or (is_free and not owner))
            and wanted.get("volumeName") in (None, "", volume["metadata"]["name"])
            and (spec.get("storageClassName") or "") == class_name
            and set(wanted.get("accessModes") or ()) <= set(spec.get("accessModes") or ())
            and (wanted.get("volumeMode") or "Filesystem") == (spec.get("volumeMode") or "Filesystem")
            and _bytes((wanted.get("resources") or {}).get("requests")) <= _size(volume)
            and _selects(wanted.get("selector") or {}, volume["metadata"].get("labels") or {})
        )

    def _refusal(self, pending: Sequence[Claim]) -> ClusterError:
        reasons = dict.fromkeys(f"{claim.name} ({claim.source}): {self._reason(claim)}" for claim in pending)
        shown = "; ".join(list(reasons)[:_SHOWN_MAX])
        more = f"; and {len(reasons) - _SHOWN_MAX} more" if len(reasons) > _SHOWN_MAX else ""
        names = ", ".join(sorted(one["metadata"]["name"] for one in self.classes or ()))
        return ClusterError(
            f"{len(pending)} of {len(self.claims)} claims would never be bound: {shown}{more}; nothing was deployed",
            f"name one of the cluster's StorageClasses in the claim: {names}"
            if names
            else "install a provisioner with a StorageClass, or make PersistentVolumes that fit",
        )

    def _reason(self, claim: Claim) -> str:
        """Return why a claim would be pending: what its class does not do, and what no volume is."""
        found, named = self._class(claim), claim.spec.get("volumeName")
        if named:
            return f"there is no PersistentVolume {named!r} that is free and fits"
        if claim.class_name == "":
            lacking = "it asks for no StorageClass"
        elif found is not None:
            lacking = f"StorageClass {found['metadata']['name']!r} makes no volumes"
        elif claim.class_name is None:
            lacking = "the cluster has no default StorageClass"
        else:
            lacking = f"there is no StorageClass {claim.class_name!r}"
        return f"{lacking}, and no PersistentVolume is free that fits"


def measure_storage(client: KubeClient, namespace: str, manifests: Sequence[Manifest]) -> Storage:
    """Return what the manifests claim and what there is; claims that are bound already count no more.

    Raises:
        KubeError: the API is unreachable, or cannot answer.
    """
    claims = tuple(claims_of(manifests))
    if not claims:
        return Storage((), None, None, namespace)
    there = _listed(client, _CLAIMS.path(namespace)) or ()
    bound = {one["metadata"]["name"] for one in there if one.get("status", {}).get("phase") == "Bound"}
    return Storage(
        claims=tuple(claim for claim in claims if claim.name not in bound),
        classes=_with(_listed(client, _CLASSES.path()), "StorageClass", manifests),
        volumes=_with(_listed(client, _VOLUMES.path()), "PersistentVolume", manifests),
        namespace=namespace,
    )


def claims_of(manifests: Iterable[Manifest]) -> Iterator[Claim]:
    """Yield the claims among manifests, and those that StatefulSets and pods make of a template."""
    for manifest in manifests:
        content, name = manifest.object, manifest.object["metadata"]["name"]
        spec = content.get("spec") or {}
        if manifest.kind == "PersistentVolumeClaim":
            yield _claim(name, manifest.source, content)
        replicas = 1 if spec.get("replicas") is None else int(spec["replicas"])
        first = int((spec.get("ordinals") or {}).get("start") or 0)
        for template in spec.get("volumeClaimTemplates") or () if manifest.kind == "StatefulSet" else ():
            for ordinal in range(first, first + replicas):
                yield _claim(f"{template['metadata']['name']}-{name}-{ordinal}", manifest.source, template)
        for volume in manifest.pod_spec.get("volumes") or ():
            template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
            if template:
                yield _claim(f"{name}-{volume['name']}", manifest.source, template)


def _claim(name: str, source: str, template: Mapping[str, Any]) -> Claim:
    spec = template.get("spec") or {}
    annotated = ((template.get("metadata") or {}).get("annotations") or {}).get(_CLASS_ANNOTATION)
    class_name = spec.get("storageClassName")
    return Claim(name, source, spec, annotated if class_name is None else class_name)


def _with(listed: Sequence[Object] | None, kind: str, manifests: Iterable[Manifest]) -> tuple[Object, ...] | None:
    """Return what is there with what is going to be made."""
    if listed is None:
        return None
    return (*listed, *(one.object for one in manifests if one.kind == kind))


def _is_default(storage_class: Object) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return any(annotations.get(name) == "true" for name in _DEFAULT)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether labels match; expressions are the cluster's to evaluate, and count as matching."""
    return all(labels.get(name) == value for name, value in (selector.get("matchLabels") or {}).items())


def _size(volume: Object) -> float:
    return _bytes((volume.get("spec") or {}).get("capacity"))


def _bytes(quantities: Mapping[str, Any] | None) -> float:
    from kubernetes.utils.quantity import parse_quantity  # noqa: PLC0415 (takes more than a second)

    return float(parse_quantity((quantities or {}).get("storage") or 0))


def _listed(client: KubeClient, path: str) -> tuple[Object, ...] | None:
    """Return a list, or None where this user may not see it, or the cluster does not serve it.

    Raises:
        KubeError: the API cannot answer.
    """
    try:
        return tuple(client.api.listed(path).items)
    except ApiRejectedError as error:
        if error.code in (403, 404):
            return None
        raise
