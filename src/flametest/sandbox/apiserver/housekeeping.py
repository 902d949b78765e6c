"""What the registry does by itself when objects come, change and go.

A namespace gets its default service account and the root certificate, ends only when it is empty, and is emptied when
it is deleted; a claim is kept while a pod uses it; old events make room for new ones. A real cluster has controllers
for this; here it is part of the registry because every write depends on it and it has to happen at once. One
`Housekeeping` belongs to one registry and lives as long.
"""

from collections import deque
from typing import TYPE_CHECKING

from flametest.sandbox.apiserver.defaults.storage import CLAIM_PROTECTION
from flametest.sandbox.apiserver.definitions import Definitions
from flametest.sandbox.apiserver.deletion import DeleteOptions, may_go
from flametest.sandbox.apiserver.failures import forbidden
from flametest.sandbox.apiserver.outcomes import Deleted
from flametest.sandbox.apiserver.resources import BY_NAME, Resource
from flametest.sandbox.errors import conflict, not_found
from flametest.sandbox.objects import Object
from flametest.sandbox.store import Key

if TYPE_CHECKING:
    from flametest.sandbox.apiserver.registry import Registry

__all__ = ["EVENTS_MAX", "Housekeeping"]

EVENTS_MAX = 2000
"""How many events are kept; a real cluster keeps them for an hour."""

_CERTIFICATE_DESCRIPTION = "Holds the certificate by which the API server of this cluster can be verified."
_DEFAULT_ACCOUNT = "default"
_PROTECTED_NAMESPACES = ("default", "kube-system", "kube-public")


class Housekeeping:
    """The rules that tie objects to others."""

    def __init__(self, registry: "Registry", root_certificate: str) -> None:
        self._registry = registry
        self._root_certificate = root_certificate
        self._ending: set[str] = set()
        self._events: deque[Key] = deque()
        self._definitions = Definitions(registry)

    def check_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        """Check that a namespace takes new objects.

        Raises:
            StatusError: 404, it does not exist; 403, it is being deleted.
        """
        if self._registry.store.get("namespaces", ("", namespace)) is None:
            raise not_found("namespaces", namespace)
        if namespace in self._ending:
            because = f"unable to create new content in namespace {namespace} because it is being terminated"
            details = {"name": name, "kind": resource.plural}
            if resource.group:
                details["group"] = resource.group
            details["causes"] = [  # type: ignore[assignment]
                {
                    "reason": "NamespaceTerminating",
                    "message": f"namespace {namespace} is being terminated",
                    "field": "metadata.namespace",
                }
            ]
            raise forbidden(f'{resource.name} "{name}" is forbidden: {because}', details)

    def check_account(self, resource: Resource, namespace: str, obj: Object) -> None:
        """Check that the service account that a pod names is there, as the admission of Kubernetes does.

        Raises:
            StatusError: 403, it is not.
        """
        if resource.kind != "Pod":
            return
        spec = obj.get("spec", {})
        account = spec.get("serviceAccountName") or spec.get("serviceAccount") or _DEFAULT_ACCOUNT
        if account == _DEFAULT_ACCOUNT or self._registry.store.get("serviceaccounts", (namespace, account)) is not None:
            return
        name = obj["metadata"].get("name", "")
        because = f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
        raise forbidden(f'pods "{name}" is forbidden: {because}', {"name": name, "kind": "pods"})

    def check_definition(self, resource: Resource) -> None:
        """Check that a custom resource takes new objects.

        Raises:
            StatusError: 405, its definition is being deleted.
        """
        self._definitions.check_may_add(resource)

    def added(self, resource: Resource, key: Key) -> None:
        """Furnish a new namespace; make room for a new event; serve what a new definition defines."""
        self._definitions.written(resource, key)
        if resource.kind == "Namespace":
            self._furnish(key[1])
        elif resource.kind == "Event":
            self._events.append(key)
            if len(self._events) > EVENTS_MAX:
                oldest = self._events.popleft()
                if self._registry.store.get(resource.name, oldest) is not None:
                    self._registry.drop(resource, oldest)

    def _furnish(self, namespace: str) -> None:
        annotations = {"kubernetes.io/description": _CERTIFICATE_DESCRIPTION}
        certificate = {
            "metadata": {"name": "kube-root-ca.crt", "namespace": namespace, "annotations": annotations},
            "data": {"ca.crt": self._root_certificate},
        }
        self._registry.create("serviceaccounts", {"metadata": {"name": _DEFAULT_ACCOUNT, "namespace": namespace}})
        self._registry.create("configmaps", certificate)

    def changed(self, resource: Resource, key: Key, obj: Object) -> None:
        """Let go of the claims of a pod that has finished; serve what a changed definition defines."""
        self._definitions.written(resource, key)
        if resource.kind == "Pod" and obj.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            self._release_claims(key[0])

    def marked(self, resource: Resource, key: Key) -> bool:
        """Let go of a claim that no pod uses and of a definition without objects; return whether it is gone."""
        if self._definitions.is_definition(resource):
            return self._definitions.end(key[1])
        if resource.kind != "PersistentVolumeClaim":
            return False
        self._release_claims(key[0])
        return self._registry.store.get(resource.name, key) is None

    def removed(self, resource: Resource, key: Key) -> None:
        """Let go of a pod's claims, and of a namespace that has become empty."""
        namespace = key[0]
        self._definitions.removed(resource, key)
        if resource.kind == "Pod":
            self._release_claims(namespace)
        self._end_if_empty(namespace)

    def _end_if_empty(self, namespace: str) -> None:
        if namespace in self._ending and self._is_empty(namespace):
            self._ending.discard(namespace)
            self._registry.drop(BY_NAME["namespaces"], ("", namespace))

    def end_namespace(self, name: str, options: DeleteOptions) -> Deleted:
        """Delete what is in a namespace; the namespace itself goes with its last object."""
        registry, namespaces = self._registry, BY_NAME["namespaces"]
        if name in _PROTECTED_NAMESPACES:
            raise forbidden(
                f'namespaces "{name}" is forbidden: this namespace may not be deleted',
                {"name": name, "kind": "namespaces"},
            )
        record = registry.record(namespaces, "", name)
        obj = record.load()
        if options.uid and options.uid != obj["metadata"]["uid"]:
            message = (
                f"Precondition failed: UID in precondition: {options.uid}, UID in object meta: {obj['metadata']['uid']}"
            )
            raise conflict("namespaces", name, message)
        obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}
        if options.dry_run or name in self._ending:
            return Deleted(record, gone=False)
        obj["metadata"]["deletionTimestamp"] = f"{registry.clock():%Y-%m-%dT%H:%M:%SZ}"
        record = registry.put(namespaces, ("", name), obj)
        self._ending.add(name)
        self._empty(name)
        self._end_if_empty(name)
        return Deleted(record, gone=False)

    def _empty(self, namespace: str) -> None:
        """Delete every object of a namespace; the last removal takes the namespace along."""
        for resource in self._registry.served.stored:
            if not resource.namespaced:
                continue
            for key, _ in list(self._registry.store.items(resource.name, namespace)):
                # Removing one object may have removed another: a pod its claim.
                if self._registry.store.get(resource.name, key) is not None:
                    self._registry.erase(resource, *key, DeleteOptions(propagation="Background"))

    def _is_empty(self, namespace: str) -> bool:
        store, stored = self._registry.store, self._registry.served.stored
        return not any(next(store.items(resource.name, namespace), None) for resource in stored if resource.namespaced)

    def _release_claims(self, namespace: str) -> None:
        """Take the protection off the claims that are being deleted and that no pod uses any more."""
        registry, claims = self._registry, BY_NAME["persistentvolumeclaims"]
        for key, record in list(registry.store.items(claims.name, namespace)):
            obj = record.load()
            finalizers = obj["metadata"].get("finalizers", [])
            if "deletionTimestamp" not in obj["metadata"] or CLAIM_PROTECTION not in finalizers:
                continue
            if self._is_used(namespace, key[1]):
                continue
            obj["metadata"]["finalizers"] = [name for name in finalizers if name != CLAIM_PROTECTION]
            registry.put(claims, key, obj)
            if may_go(obj):
                registry.drop(claims, key)

    def _is_used(self, namespace: str, claim: str) -> bool:
        for pod in self._registry.list("pods", namespace):
            if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                continue
            for volume in pod["spec"].get("volumes", ()):
                if volume.get("persistentVolumeClaim", {}).get("claimName") == claim:
                    return True
        return False
