"""Bring the cluster to what manifests say, without kubectl, and so that ``kubectl apply`` agrees afterwards.

Server-side apply creates what is missing and changes what differs, in one request. Each object also carries
kubectl's annotation of what was applied last, written byte for byte as kubectl writes it, so that a user's
``kubectl apply -f manifests/`` finds everything unchanged and needs no migration.
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from flametest.kube.api import APPLY, Api
from flametest.kube.errors import ApiRejectedError, NotFoundError
from flametest.kube.namespaces import await_namespace
from flametest.kube.resources import Discovery, Object, Resource
from flametest.kube.served import Unserved, await_served, unserved
from flametest.manifests import Manifest, ManifestError, read_manifests

__all__ = ["PLAIN", "Applied", "ApplyOptions", "Change", "Changes", "apply", "last_applied"]

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
class ApplyOptions:
    """How manifests are applied.

    Attributes:
        namespace: where objects go that name none.
        strict: refuse manifests of which the cluster does not serve every kind, rather than leave these objects out.
    """

    namespace: str = "default"
    strict: bool = True


PLAIN = ApplyOptions()


@dataclass(frozen=True, slots=True)
class Changes:
    """What applying manifests did.

    Attributes:
        objects: what was applied, in its order.
        left_out: of which kinds the cluster serves none.
        warnings: what the API server said about objects that it took, each text once.
    """

    objects: tuple[Applied, ...]
    left_out: tuple[Unserved, ...] = ()
    warnings: tuple[str, ...] = ()

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
    options: ApplyOptions = PLAIN,
) -> Changes:
    """Apply manifests (a folder, or what `read_manifests` returned) and return what was done, object by object.

    All files are read, and all kinds asked for, before the first object is applied. After a Namespace its being Active
    is awaited, after a CustomResourceDefinition that the cluster serves it. An object whose name the cluster makes up
    is created each time.

    Args:
        api: the cluster.
        manifests: the folder, or the objects in their order.
        saw: called after each object, to show progress.
        options: see there.

    Raises:
        ManifestError: a manifest cannot be read, or the API refused it; the message names file and document.
        KubeError: the API is unreachable.
    """
    objects = list(read_manifests(manifests).manifests if isinstance(manifests, Path) else manifests)
    discovery = Discovery(api)
    left_out = unserved(discovery, objects, strict=options.strict)
    skipped = {id(one.manifest) for one in left_out}
    done: list[Applied] = []
    warnings: list[str] = []
    for manifest in objects:
        if id(manifest) in skipped:
            continue
        resource = await_served(discovery, manifest, pause=time.sleep)
        try:
            applied = _apply_one(api, resource, manifest, options.namespace, warnings.append)
        except ApiRejectedError as error:
            raise ManifestError(
                f"{manifest.source}: {manifest.kind} {manifest.name!r} was refused: {error.told}",
                error.remedy or "fix the manifest",
            ) from error
        done.append(applied)
        if saw is not None:
            saw(applied)
    return Changes(tuple(done), left_out, tuple(dict.fromkeys(warnings)))


def last_applied(obj: Object) -> str:
    """Return the value of kubectl's annotation for ``obj``, which must not carry the annotation itself.

    The format is that of Go's JSON encoder: keys sorted, no spaces, the characters <, > and & escaped, a line's end.
    """
    metadata = {"annotations": {}} | obj["metadata"]
    text = json.dumps(obj | {"metadata": metadata}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text + "\n"


def _apply_one(
    api: Api, resource: Resource, manifest: Manifest, default_namespace: str, warned: Callable[[str], None]
) -> Applied:
    namespace = (manifest.namespace or default_namespace) if resource.namespaced else ""
    if manifest.is_generated:
        return _create_one(api, resource, manifest, namespace, warned)
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
        warned=warned,
    )
    if resource.kind == "Namespace":
        await_namespace(api, manifest.name, ("Active",), NAMESPACE_SECONDS)
    if before is None:
        change = Change.CREATED
    else:
        change = Change.UNCHANGED if stored["metadata"]["resourceVersion"] == before else Change.CONFIGURED
    return Applied(manifest.source, resource.kind, namespace, manifest.name, change)


def _create_one(
    api: Api, resource: Resource, manifest: Manifest, namespace: str, warned: Callable[[str], None]
) -> Applied:
    stored = api.send(
        "POST",
        resource.path(namespace),
        _with_namespace(manifest.object, namespace),
        query={"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"},
        warned=warned,
    )
    return Applied(manifest.source, resource.kind, namespace, str(stored["metadata"]["name"]), Change.CREATED)


def _with_namespace(obj: Object, namespace: str) -> Object:
    metadata: dict[str, Any] = {key: value for key, value in obj["metadata"].items() if key != "namespace"}
    return obj | {"metadata": metadata | {"namespace": namespace} if namespace else metadata}


def _annotated(obj: Object, namespace: str) -> Object:
    complete = _with_namespace(obj, namespace)
    metadata = complete["metadata"]
    annotations = (metadata.get("annotations") or {}) | {LAST_APPLIED: last_applied(complete)}
    return complete | {"metadata": metadata | {"annotations": annotations}}


def _resource_version(api: Api, path: str) -> str | None:
    try:
        return str(api.get(path)["metadata"]["resourceVersion"])
    except NotFoundError:
        return None
