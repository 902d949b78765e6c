"""A whole system, from a namespace of a running cluster or from a folder of manifests.

Of a cluster only lists are read, Secrets never. What it does not let be read, or does not know, is noted and left out,
save for the kinds without which there is nothing to say.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError, NotFoundError
from flametest.kube.resources import (
    AUTOSCALERS,
    CLAIMS,
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    SERVICES,
    STATEFUL_SETS,
    Object,
    Resource,
)
from flametest.manifests import WORKLOADS as WORKLOAD_KINDS
from flametest.manifests import Manifest, Reading, generated_names, is_builtin_group, read_manifests
from flametest.model.consent import has_consent
from flametest.starter import parsing
from flametest.starter.contexts import read_source_files
from flametest.starter.errors import StarterError
from flametest.starter.fields import labels_of, name_of, part, parts
from flametest.starter.system import Scaler, System, Workload

__all__ = ["make_system", "read_folder", "read_namespace"]

CRON_JOBS = Resource("batch/v1", "CronJob", "cronjobs")
ROLLOUTS = Resource("argoproj.io/v1alpha1", "Rollout", "rollouts")
BUDGETS = Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
INGRESSES = Resource("networking.k8s.io/v1", "Ingress", "ingresses")
HTTP_ROUTES = Resource("gateway.networking.k8s.io/v1", "HTTPRoute", "httproutes")
ACCOUNTS = Resource("v1", "ServiceAccount", "serviceaccounts")
_SECRET = "Secret"  # noqa: S105 (the name of a kind)

WORKLOADS = (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS)
OTHERS = (REPLICA_SETS, REPLICATION_CONTROLLERS, ROLLOUTS, JOBS, CRON_JOBS, PODS)
_NEEDED = (*WORKLOADS, SERVICES)
_WANTED = (*OTHERS, BUDGETS, INGRESSES, HTTP_ROUTES, AUTOSCALERS, CONFIG_MAPS, CLAIMS, ACCOUNTS)
_FORBIDDEN = 403
_DEFAULT_NAMESPACE = "flametest"  # where `flametest up` puts what names none

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
        folder: where they are; a single file will do.
        namespace: of which namespace; empty for the one to which ``flametest up`` would deploy the workloads. Objects
            that name none count to the latter.

    Raises:
        StarterError: there is no such folder or file, or nothing could be tested.
        ManifestError: a manifest cannot be read; the message names file and document.
    """
    if not folder.exists():
        raise StarterError(f"{folder} does not exist", "name the folder of your manifests with --manifests")
    reading = read_manifests(folder)
    chosen = namespace or reading.namespace(_DEFAULT_NAMESPACE)
    home = _home(reading, chosen)
    own = [one for one in reading.manifests if not one.is_generated and one.namespace_in(home) in ("", chosen)]
    objects: dict[str, list[Object]] = {_SECRET: [], ACCOUNTS.kind: []}
    for one in own:
        objects.setdefault(one.kind, []).append(one.object)
    named = [one for one in objects.get(NAMESPACES.kind, []) if name_of(one) == chosen]
    consents = any(has_consent(one) for one in named) if named else None
    system = make_system(chosen, f"manifests of {folder}", objects, consents)
    return replace(
        system,
        sources=read_source_files(folder if folder.is_dir() else folder.parent, _images(system)),
        places={(one.kind, one.name): _place(one) for one in own},
        made=generated_names(folder).union(
            name for one in own if not is_builtin_group(one.api_version) for name in _made(one.object)
        ),
        neighbours=_neighbours(reading, chosen),
        notes=tuple(_notes(reading, chosen)),
    )


def make_system(
    namespace: str,
    origin: str,
    objects: Objects,
    consents: bool | None = None,
    unread: tuple[str, ...] = (),
) -> System:
    """Return a system from its objects by kind; what is of no kind that decides how it fails is left aside.

    Raises:
        StarterError: there is no workload among them, or one of them cannot be understood.
    """
    workloads, others = _with_pods(WORKLOADS, objects), _with_pods(OTHERS, objects)
    if not workloads and not others:
        raise StarterError(
            f"namespace {namespace!r} holds no Deployment, StatefulSet or DaemonSet ({origin})",
            "name the namespace of your system with --namespace, or deploy it first",
        )
    scaled = {(one.kind, one.target): one for one in _parsed(AUTOSCALERS.kind, objects, parsing.parse_scaler)}
    return System(
        namespace=namespace,
        origin=origin,
        workloads=tuple(_scaled(one, scaled) for one in workloads),
        others=tuple(_scaled(one, scaled) for one in others),
        services=tuple(_parsed(SERVICES.kind, objects, parsing.parse_service)),
        budgets=tuple(_parsed(BUDGETS.kind, objects, parsing.parse_budget)),
        routes=(
            *(one for found in _parsed(INGRESSES.kind, objects, parsing.parse_ingress) for one in found),
            *(one for found in _parsed(HTTP_ROUTES.kind, objects, parsing.parse_http_route) for one in found),
        ),
        config_maps=dict(_texts(CONFIG_MAPS.kind, objects, parsing.parse_config_map)),
        secrets=dict(_texts(_SECRET, objects, parsing.parse_secret)) if _SECRET in objects else None,
        claims={one.name: one for one in _parsed(CLAIMS.kind, objects, parsing.parse_claim)},
        accounts=frozenset(map(name_of, objects[ACCOUNTS.kind])) if ACCOUNTS.kind in objects else None,
        scaled=scaled,
        other_pods=tuple(labels_of(one) for one in objects.get(PODS.kind, []) if _is_owned(one)),
        consents=consents,
        unread=unread,
    )


def _with_pods(resources: Iterable[Resource], objects: Objects) -> tuple[Workload, ...]:
    """Return what has pods of its own accord: neither what another object has made, nor what is over."""
    free = {
        one.kind: [obj for obj in objects.get(one.kind, []) if not _is_owned(obj) and not _is_over(obj)]
        for one in resources
    }
    return tuple(one for kind in free for one in _parsed(kind, free, parsing.parse_workload))


def _is_over(obj: Object) -> bool:
    """Return whether a Pod or a Job has ended for good."""
    status = part(obj, "status")
    ended = [one.get("type") for one in parts(status, "conditions") if one.get("status") == "True"]
    return status.get("phase") in ("Succeeded", "Failed") or not {"Complete", "Failed"}.isdisjoint(map(str, ended))


def _is_owned(obj: Object) -> bool:
    return any(one.get("controller") for one in parts(part(obj, "metadata"), "ownerReferences"))


def _scaled(workload: Workload, scaled: Mapping[tuple[str, str], Scaler]) -> Workload:
    """Return a workload with as many pods as its autoscaler makes of those that are wanted."""
    scaler = scaled.get((workload.kind, workload.name))
    return replace(workload, replicas=scaler.pods(workload.replicas)) if scaler else workload


def _texts(
    kind: str, objects: Objects, parse: Callable[[Object], Mapping[str, str]]
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield name and texts of each object of a kind."""
    return _parsed(kind, objects, lambda obj: (name_of(obj), parse(obj)))


def _home(reading: Reading, chosen: str) -> str:
    """Return the namespace to which objects count that name none: the chosen one, unless workloads show that it is not.

    That is so where some workloads name the chosen one, and others none.
    """
    named = {one.namespace for one in reading.manifests if one.kind in WORKLOAD_KINDS}
    return reading.namespace(_DEFAULT_NAMESPACE) if chosen in named and "" in named else chosen


def _images(system: System) -> set[str]:
    return {container.image for one in system.workloads for container in one.containers}


def _made(obj: Object) -> Iterator[str]:
    """Yield the names that an add-on's object gives to what its controller makes: its own, and those of Secrets."""
    spec = part(obj, "spec")
    named = (spec.get("secretName"), part(spec, "target").get("name"))
    return (str(one) for one in (name_of(obj), *named) if one)


def _neighbours(reading: Reading, chosen: str) -> dict[str, frozenset[str]]:
    """Return the names of the Services of each other namespace that the folder speaks of."""
    found: dict[str, set[str]] = {}
    for one in reading.manifests:
        if one.namespace not in ("", chosen):
            found.setdefault(one.namespace, set()).update([one.name] if one.kind == SERVICES.kind else [])
    return {namespace: frozenset(names) for namespace, names in found.items()}


def _notes(reading: Reading, chosen: str) -> Iterator[str]:
    """Yield what was read and is not looked at, and what was replaced."""
    elsewhere = Counter(one.namespace for one in reading.manifests if one.namespace not in ("", chosen))
    for namespace, count in sorted(elsewhere.items()):
        are = "1 object is" if count == 1 else f"{count} objects are"
        yield f"{are} in namespace {namespace}; use --namespace {namespace} to look there"
    yield from reading.notes


def _place(manifest: Manifest) -> str:
    """Return file and line where an object begins."""
    return f"{manifest.source.partition(', ')[0]}:{manifest.line}" if manifest.line else manifest.source


def _parsed(kind: str, objects: Objects, parse: Callable[[Object], Part]) -> Iterator[Part]:
    for obj in sorted(objects.get(kind, []), key=name_of):
        try:
            # The items of a list carry no kind of their own.
            yield parse(obj | {"kind": kind})
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise StarterError(
                f"{kind} {name_of(obj)} cannot be understood: {type(error).__name__}: {error}",
                "check it with `kubectl apply --dry-run=server`",
            ) from error


def _listed(client: KubeClient, resource: Resource, namespace: str) -> list[Object]:
    return client.api.listed(resource.path(namespace)).items


def _consent(client: KubeClient, namespace: str) -> bool | None:
    """Return whether the namespace allows faults; None when it may not be looked at.

    Raises:
        StarterError: there is no such namespace.
    """
    try:
        return has_consent(client.api.get(NAMESPACES.path(name=namespace)))
    except NotFoundError as error:
        raise StarterError(
            f"the cluster has no namespace {namespace!r}", "name the namespace of your system with --namespace"
        ) from error
    except ApiRejectedError as error:
        if error.code != _FORBIDDEN:
            raise
        return None
