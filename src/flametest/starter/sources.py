"""A whole system, from a namespace of a running cluster or from a folder of manifests.

Only lists are read, Secrets never. What a cluster does not let be read, or does not know, is noted and left out, save
for the kinds without which there is nothing to say.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError, NotFoundError
from flametest.kube.resources import DEPLOYMENTS, NAMESPACES, PODS, SERVICES, STATEFUL_SETS, Object, Resource
from flametest.manifests import Manifest, read_manifests
from flametest.starter import parsing
from flametest.starter.errors import StarterError
from flametest.starter.system import System

__all__ = ["CONSENT_LABEL", "CONSENT_VALUE", "make_system", "read_folder", "read_namespace"]

# As `flametest.faults.safety` asks for it, a room beside this one.
CONSENT_LABEL = "flametest.dev/faults"
CONSENT_VALUE = "allowed"

DAEMON_SETS = Resource("apps/v1", "DaemonSet", "daemonsets")
BUDGETS = Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
INGRESSES = Resource("networking.k8s.io/v1", "Ingress", "ingresses")
AUTOSCALERS = Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")
CLAIMS = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")

WORKLOADS = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)
_NEEDED = (*WORKLOADS, SERVICES)
_WANTED = (PODS, BUDGETS, INGRESSES, AUTOSCALERS, CONFIG_MAPS, CLAIMS)
_FORBIDDEN = 403

Objects = Mapping[str, list[Object]]
Part = TypeVar("Part")


def read_namespace(client: KubeClient, namespace: str) -> System:
    """Return what a namespace of a cluster holds.

    Raises:
        StarterError: there is no such namespace, or it holds nothing that could be tested.
        KubeError: the API is unreachable, or refused what is needed.
    """
    consents = _consent(client, namespace)
    objects, unread = {one.kind: _listed(client, one, namespace) for one in _NEEDED}, []
    for resource in _WANTED:
        try:
            objects[resource.kind] = _listed(client, resource, namespace)
        except ApiRejectedError as error:
            if error.code not in (_FORBIDDEN, 404):
                raise
            if error.code == _FORBIDDEN:
                unread.append(resource.kind)
    origin = f"namespace {namespace} of context {client.api.context}"
    return make_system(namespace, origin, objects, consents, tuple(unread))


def read_folder(folder: Path, namespace: str = "") -> System:
    """Return what the manifests of a folder describe.

    Args:
        folder: where they are.
        namespace: of which namespace; empty for the only one that they use. Objects that name none count to it.

    Raises:
        StarterError: there is no such folder, its manifests use several namespaces, or nothing could be tested.
        ManifestError: a manifest cannot be read; the message names file and document.
    """
    if not folder.is_dir():
        raise StarterError(f"folder {folder} does not exist", "name the folder of your manifests by --manifests")
    found = read_manifests(folder).manifests
    chosen = namespace or _only_namespace([one.object for one in found], folder)
    objects: dict[str, list[Object]] = {}
    places = {}
    for one in found:
        if one.namespace in ("", chosen) and not one.is_generated:
            objects.setdefault(one.kind, []).append(one.object)
            places[one.kind, one.name] = _place(one)
    own = [one for one in objects.get(NAMESPACES.kind, []) if parsing.name_of(one) == chosen]
    consents = any(_has_consent(one) for one in own) if own else None
    return make_system(chosen, f"manifests of {folder}", objects, consents, places=places)


def make_system(
    namespace: str,
    origin: str,
    objects: Objects,
    consents: bool | None = None,
    unread: tuple[str, ...] = (),
    *,
    places: Mapping[tuple[str, str], str] | None = None,
) -> System:
    """Return a system from its objects by kind; what is of no kind that decides how it fails is left aside.

    Raises:
        StarterError: there is no workload among them, or one of them cannot be understood.
    """
    workloads = tuple(one for resource in WORKLOADS for one in _parsed(resource.kind, objects, parsing.parse_workload))
    if not workloads:
        raise StarterError(
            f"namespace {namespace!r} holds no Deployment, StatefulSet or DaemonSet ({origin})",
            "name the namespace of your system by --namespace, or deploy it first",
        )
    routes = [one for routes in _parsed(INGRESSES.kind, objects, parsing.parse_routes) for one in routes]
    maps = objects.get(CONFIG_MAPS.kind, [])
    return System(
        namespace=namespace,
        origin=origin,
        workloads=workloads,
        services=tuple(_parsed(SERVICES.kind, objects, parsing.parse_service)),
        budgets=tuple(_parsed(BUDGETS.kind, objects, parsing.parse_budget)),
        routes=tuple(routes),
        config_maps={parsing.name_of(one): parsing.parse_config_map(one) for one in maps},
        scaled=frozenset(_parsed(AUTOSCALERS.kind, objects, parsing.parse_scaled)),
        other_pods=tuple(_other_pods(objects)),
        claims={one.name: one for one in _parsed(CLAIMS.kind, objects, parsing.parse_claim)},
        places=places or {},
        consents=consents,
        unread=unread,
    )


def _place(manifest: Manifest) -> str:
    """Return file and line where an object begins."""
    return f"{manifest.source.partition(', ')[0]}:{manifest.line}" if manifest.line else manifest.source


def _parsed(kind: str, objects: Objects, parse: Callable[[Object], Part]) -> Iterator[Part]:
    for obj in sorted(objects.get(kind, []), key=parsing.name_of):
        try:
            # The items of a list carry no kind of their own.
            yield parse(obj | {"kind": kind})
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise StarterError(
                f"{kind} {parsing.name_of(obj)} cannot be understood: {type(error).__name__}: {error}",
                "check it with `kubectl apply --dry-run=server`",
            ) from error


def _other_pods(objects: Objects) -> Iterator[Mapping[str, str]]:
    """Yield the labels of pods beyond those of the workloads: running and single ones, and those of Jobs."""
    yield from _parsed(PODS.kind, objects, parsing.labels_of)
    yield from _parsed("Job", objects, parsing.template_labels)


def _listed(client: KubeClient, resource: Resource, namespace: str) -> list[Object]:
    return client.api.listed(resource.path(namespace)).items


def _consent(client: KubeClient, namespace: str) -> bool | None:
    """Return whether the namespace allows faults; None when it may not be looked at.

    Raises:
        StarterError: there is no such namespace.
    """
    try:
        return _has_consent(client.api.get(NAMESPACES.path(name=namespace)))
    except NotFoundError as error:
        raise StarterError(
            f"the cluster has no namespace {namespace!r}", "name the namespace of your system by --namespace"
        ) from error
    except ApiRejectedError as error:
        if error.code != _FORBIDDEN:
            raise
        return None


def _has_consent(namespace: Object) -> bool:
    return parsing.labels_of(namespace).get(CONSENT_LABEL) == CONSENT_VALUE


def _only_namespace(found: Iterable[Object], folder: Path) -> str:
    kinds = {resource.kind for resource in WORKLOADS}
    named = sorted({parsing.namespace_of(obj) for obj in found if obj["kind"] in kinds} - {""})
    if len(named) > 1:
        raise StarterError(
            f"the workloads of {folder} are in {len(named)} namespaces: {', '.join(named)}",
            "name one of them by --namespace",
        )
    return named[0] if named else "default"
