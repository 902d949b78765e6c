"""Bring the cluster to what manifests say, without kubectl, and so that ``kubectl apply`` agrees afterwards.

Server-side apply creates what is missing and changes what differs, in one request. Each object also carries
kubectl's annotation of what was applied last, written byte for byte as kubectl writes it, so that a user's
``kubectl apply -f manifests/`` finds everything unchanged and needs no migration.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from flametest.kube.api import APPLY, Api
from flametest.kube.errors import ApiRejectedError, ManifestError, NotFoundError
from flametest.kube.manifests import Manifest, read_manifests
from flametest.kube.namespaces import await_namespace
from flametest.kube.resources import Discovery, Object, Resource

__all__ = ["Applied", "Change", "Changes", "apply", "last_applied"]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
FIELD_MANAGER = "flametest"
NAMESPACE_SECONDS = 60.0  # a namespace of an earlier run may still be going away


class Change(StrEnum):
    """What applying an object did; the words are kubectl's."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Applied:
    """One object that was applied; ``namespace`` is empty for a kind that has none."""

    source: str
    kind: str
    namespace: str
    name: str
    change: Change


@dataclass(frozen=True, slots=True)
class Changes:
    """What applying manifests did, object by object in their order."""

    objects: tuple[Applied, ...]

    def count(self, change: Change) -> int:
        """Return the number of objects that were created, configured or unchanged."""
        return sum(one.change is change for one in self.objects)

    def summary(self) -> str:
        """Return a line such as ``18 created, 1 unchanged``."""
        counts = [(self.count(change), change) for change in Change]
        return ", ".join(f"{number} {change}" for number, change in counts if number) or "nothing to apply"


def apply(
    api: Api,
    manifests: Path | Iterable[Manifest],
    saw: Callable[[Applied], None] | None = None,
) -> Changes:
    """Apply manifests (a folder, or what `read_manifests` returned) and return what was done, object by object.

    All files are read before the first object is applied. After a Namespace its being Active is awaited.

    Args:
        api: the cluster.
        manifests: the folder, or the objects in their order.
        saw: called after each object, to show progress.

    Raises:
        ManifestError: a manifest cannot be read, or the API refused it; the message names file and document.
        KubeError: the API is unreachable.
    """
    objects = read_manifests(manifests) if isinstance(manifests, Path) else list(manifests)
    discovery = Discovery(api)
    done: list[Applied] = []
    for manifest in objects:
        resource = discovery.resource(manifest.object["apiVersion"], manifest.kind)
        if resource is None:
            raise ManifestError(
                f"{manifest.source}: the cluster knows no {manifest.kind} in {manifest.object['apiVersion']}",
                "mend apiVersion or kind, or install what defines that kind",
            )
        try:
            applied = _apply_one(api, resource, manifest)
        except ApiRejectedError as error:
            raise ManifestError(
                f"{manifest.source}: {manifest.kind} {manifest.name!r} was refused: {error.told}",
                error.remedy or "mend the manifest",
            ) from error
        done.append(applied)
        if saw is not None:
            saw(applied)
    return Changes(tuple(done))


def last_applied(obj: Object) -> str:
    """Return the value of kubectl's annotation for ``obj``, which must not carry the annotation itself.

    The format is that of Go's JSON encoder: keys sorted, no spaces, the characters <, > and & escaped, a line's end.
    """
    metadata = {"annotations": {}} | obj["metadata"]
    text = json.dumps(obj | {"metadata": metadata}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text + "\n"


def _apply_one(api: Api, resource: Resource, manifest: Manifest) -> Applied:
    namespace = manifest.object["metadata"].get("namespace", "default") if resource.namespaced else ""
    if resource.kind == "Namespace":
        # One that is still going away would take everything with it that is put into it now.
        await_namespace(api, manifest.name, ("", "Active"), NAMESPACE_SECONDS)
    path = resource.path(namespace, manifest.name)
    before = _resource_version(api, path)
    stored = api.send(
        "PATCH",
        path,
        _annotated(manifest.object, namespace),
        query={"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"},
        content_type=APPLY,
    )
    if resource.kind == "Namespace":
        await_namespace(api, manifest.name, ("Active",), NAMESPACE_SECONDS)
    if before is None:
        change = Change.CREATED
    else:
        change = Change.UNCHANGED if stored["metadata"]["resourceVersion"] == before else Change.CONFIGURED
    return Applied(manifest.source, resource.kind, namespace, manifest.name, change)


def _annotated(obj: Object, namespace: str) -> Object:
    metadata: dict[str, Any] = dict(obj["metadata"])
    if namespace:
        metadata["namespace"] = namespace
    complete = obj | {"metadata": metadata}
    annotations = (metadata.get("annotations") or {}) | {LAST_APPLIED: last_applied(complete)}
    return complete | {"metadata": metadata | {"annotations": annotations}}


def _resource_version(api: Api, path: str) -> str | None:
    try:
        return str(api.get(path)["metadata"]["resourceVersion"])
    except NotFoundError:
        return None
