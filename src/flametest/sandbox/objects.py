"""How controllers, scheduler, agent and network reach the state of the cluster: the protocol `Objects`.

The API server's registry implements it (defaults, validation, generations, graceful deletion happen there, as for
a request that came over HTTP); tests may use any other. All calls are synchronous and run on the one event loop
of the cluster process: nothing here blocks or does I/O.

A resource is named by its plural and group, as kubectl prints it: ``pods``, ``services``, ``deployments.apps``,
``endpointslices.discovery.k8s.io``. An object is the plain JSON object, always a fresh copy that the caller may change.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

__all__ = ["Object", "Objects", "WatchEvent"]

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """A change of one object; ``object`` is its state after the change (for DELETED: its last state)."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    resource: str
    object: Object


class Objects(Protocol):
    """The state of the cluster.

    Every call that fails raises `StatusError`: 404 for what is missing, 409 for a conflict, 422 for what is invalid.
    """

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return the object, or None. ``namespace`` is empty for what has none, such as nodes."""

    def list(self, resource: str, namespace: str | None = None, labels: dict[str, str] | None = None) -> list[Object]:
        """Return the objects of a namespace (None: of all) whose labels include ``labels``, by namespace and name."""

    def create(self, resource: str, obj: Object) -> Object:
        """Store a new object (its metadata has name or generateName, and namespace) and return it as stored."""

    def update(self, resource: str, obj: Object) -> Object:
        """Replace an object but not its status. A metadata.resourceVersion that is set has to be the stored one."""

    def update_status(self, resource: str, obj: Object) -> Object:
        """Replace the status of an object and nothing else; the same rule for the resource version."""

    def bind(self, namespace: str, pod: str, node: str) -> None:
        """Bind a pod to a node and set its PodScheduled condition, as the scheduler's Binding does."""

    def delete(
        self,
        resource: str,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        grace_seconds: int | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] = "Background",
    ) -> None:
        """Delete an object, or begin to: pods go gracefully, finalizers hold.

        A pod that is bound to a node is marked (deletionTimestamp, deletionGracePeriodSeconds); the agent ends its
        processes and then calls this again with ``grace_seconds=0``, which removes it. ``uid`` is a precondition.
        """

    def watch(self, *resources: str) -> AsyncIterator[WatchEvent]:
        """Yield an ADDED event for each object that exists, then every change, in order, across all ``resources``.

        Subscribes when called, not when first awaited. The iterator never ends by itself; close it with ``aclose``.
        """
