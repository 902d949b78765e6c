"""Which kinds of manifests a cluster serves, and what to do about the others.

Sets of manifests that people share bring objects of kinds that an add-on defines, such as ServiceMonitors. Where the
add-on is not installed nothing else of the set depends on them. A kind that Kubernetes itself has never served in that
version is a mistake, or of a release that is gone, and is refused: to leave out a workload hides a fault.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from flametest.kube.resources import Discovery, Resource
from flametest.manifests import Manifest, ManifestError
from flametest.manifests.kinds import is_builtin_group, is_builtin_kind

__all__ = ["Unserved", "await_served", "unserved"]

POLL_SECONDS = 0.1
ESTABLISHED_SECONDS_MAX = 15.0  # a definition is served a moment after it was accepted
_DEFINITION = ("apiextensions.k8s.io/v1", "CustomResourceDefinition")


@dataclass(frozen=True, slots=True)
class Unserved:
    """An object of a kind that the cluster does not serve."""

    manifest: Manifest

    def __str__(self) -> str:
        one = self.manifest
        return f"{one.kind} {one.name} of {one.source}: the cluster does not serve {one.kind} of {one.api_version}"


def unserved(discovery: Discovery, manifests: Iterable[Manifest], *, strict: bool) -> tuple[Unserved, ...]:
    """Return the objects that have to be left out.

    Raises:
        ManifestError: a kind is a mistake; with ``strict`` also whenever one is not served.
    """
    objects = list(manifests)
    coming = _defined(objects) if discovery.resource(*_DEFINITION) is not None else set()
    found = []
    for one in objects:
        kind = (one.api_version, one.kind)
        if kind in coming or discovery.resource(*kind) is not None:
            continue
        if strict or (is_builtin_group(one.api_version) and not is_builtin_kind(*kind)):
            raise ManifestError(
                f"{one.source}: the cluster knows no {one.kind} in {one.api_version}",
                "fix apiVersion or kind, or install what defines that kind",
            )
        found.append(Unserved(one))
    return tuple(found)


def await_served(discovery: Discovery, manifest: Manifest, *, pause: Callable[[float], None] = time.sleep) -> Resource:
    """Return the resource of an object, whose definition may just have been applied.

    Raises:
        ManifestError: the cluster did not serve it in time.
    """
    for _ in range(round(ESTABLISHED_SECONDS_MAX / POLL_SECONDS)):
        resource = discovery.resource(manifest.api_version, manifest.kind)
        if resource is not None:
            return resource
        pause(POLL_SECONDS)
        discovery.forget(manifest.api_version)
    raise ManifestError(
        f"{manifest.source}: the cluster has not served {manifest.kind} of {manifest.api_version} within "
        f"{ESTABLISHED_SECONDS_MAX:g} s after its definition",
        "check the conditions of its CustomResourceDefinition",
    )


def _defined(manifests: Iterable[Manifest]) -> set[tuple[str, str]]:
    return {kind for one in manifests if (one.api_version, one.kind) == _DEFINITION for kind in _kinds_of(one)}


def _kinds_of(definition: Manifest) -> Iterator[tuple[str, str]]:
    spec = definition.object.get("spec")
    if not isinstance(spec, dict) or not isinstance(spec.get("names"), dict):
        return
    versions = spec.get("versions")
    for version in versions if isinstance(versions, list) else ():
        if isinstance(version, dict):
            yield f"{spec.get('group')}/{version.get('name')}", str(spec["names"].get("kind"))
