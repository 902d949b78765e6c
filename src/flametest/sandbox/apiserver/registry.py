"""The registry: every verb of the API without its transport, over one store.

HTTP handlers call it with the outcome of parsing a request; controllers, scheduler and agent call it as `Objects` in
the same process. Both take the same way: identity and types, defaults, validation, allocation, storing. It lives as
long as the cluster process; all calls are synchronous and run on the one event loop.
"""

import random
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import orjson

from flametest.sandbox.apiserver import admission, managed_fields
from flametest.sandbox.apiserver.allocation import NODE_PORTS, SERVICE_RANGE, ServiceAddresses
from flametest.sandbox.apiserver.deletion import DeleteOptions, may_go, plan_deletion
from flametest.sandbox.apiserver.failures import bad_request, bad_value, invalid
from flametest.sandbox.apiserver.housekeeping import Housekeeping
from flametest.sandbox.apiserver.lifecycle import (
    begin,
    carry_over,
    check_identity,
    count_generation,
    decode,
    in_order,
    with_status_of,
)
from flametest.sandbox.apiserver.objectwatch import ObjectWatch
from flametest.sandbox.apiserver.outcomes import Deleted, Listing, Selection, WriteOptions, Written
from flametest.sandbox.apiserver.resources import BY_NAME, Resource
from flametest.sandbox.apiserver.served import Served
from flametest.sandbox.apiserver.validation.metadata import check_metadata, check_metadata_update
from flametest.sandbox.errors import already_exists, conflict, not_found
from flametest.sandbox.objects import Object, WatchEvent
from flametest.sandbox.store import Key, Record, Store, Subscription

__all__ = ["Registry"]

STALE = "the object has been modified; please apply your changes to the latest version and try again"
CONTROLLER_BACKLOG_CHANGES = 65_536
"""How many changes may wait for a controller, which cannot list again; reached only if its task has died."""


class Registry:
    """The state of the cluster; implements `flametest.sandbox.objects.Objects`."""

    def __init__(
        self,
        store: Store | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: random.Random | None = None,
        service_range: str = SERVICE_RANGE,
        node_ports: range = NODE_PORTS,
        root_certificate: str = "",
    ) -> None:
        self.store = store if store is not None else Store()
        self.clock = clock
        self.served = Served()
        self._rng = rng if rng is not None else random.Random()  # noqa: S311 - names, not secrets
        self._addresses = ServiceAddresses(self._rng, service_range, node_ports)
        self._housekeeping = Housekeeping(self, root_certificate)

    # What HTTP and the subresources use.

    def record(self, resource: Resource, namespace: str, name: str) -> Record:
        """Return what is stored.

        Raises:
            StatusError: 404.
        """
        record = self.store.get(resource.stored_name, (namespace, name))
        if record is None:
            raise not_found(resource.name, name)
        return record

    def select(self, resource: Resource, namespace: str | None, selection: Selection) -> Listing:
        """Return a page of the objects of a namespace (None: of all) that are selected, by namespace and name."""
        records: list[Record] = []
        last: Key | None = None
        choosy = bool(selection.labels or selection.fields)
        for key, record in self.store.items(resource.stored_name, namespace, selection.after):
            if choosy and not selection.matches(key, record):
                continue
            if selection.limit and len(records) == selection.limit:
                return Listing(records, self.store.version, last)
            records.append(record)
            last = key
        return Listing(records, self.store.version, None)

    def add(self, resource: Resource, namespace: str, obj: Object, options: WriteOptions) -> Written:
        """Store a new object; ``obj`` is the caller's own copy and is changed.

        Raises:
            StatusError: 400, 403 (namespace ends, no such service account), 404 (no such namespace), 409 (name
                taken), 422.
        """
        check_identity(resource, namespace, obj)
        warnings = decode(resource, obj, options.field_validation)
        resource, obj = self._as_stored(resource, obj)
        self._housekeeping.check_definition(resource)
        if resource.namespaced:
            self._housekeeping.check_namespace(resource, namespace, obj["metadata"].get("name", ""))
        owners = obj["metadata"].get("managedFields") if options.applied else None
        begin(resource, obj, self.clock(), str(uuid.UUID(int=self._rng.getrandbits(128), version=4)), self._rng)
        if owners is not None:
            obj["metadata"]["managedFields"] = owners
        name = obj["metadata"].get("name", "")
        if name and self.store.get(resource.name, (namespace, name)) is not None:
            raise already_exists(resource.name, name)
        if name:
            admission.fill_in(self, resource, namespace, obj)
            resource.behaviour.prepare(obj)
            resource.behaviour.default(obj)
        self._check(resource, obj, None)
        self._housekeeping.check_account(resource, namespace, obj)
        admission.admit(self, resource, namespace, obj)
        self._allocate(resource, obj, None, options.dry_run)
        record = self._store(resource, (namespace, name), obj, options.dry_run)
        if not options.dry_run:
            self._housekeeping.added(resource, (namespace, name))
        return Written(record, warnings, created=True)

    def replace(
        self, resource: Resource, namespace: str, name: str, obj: Object, options: WriteOptions, *, status: bool = False
    ) -> Written:
        """Replace an object but not its status, or (``status``) its status alone.

        Raises:
            StatusError: 400, 404, 409 (stale resource version), 422.
        """
        old = self.record(resource, namespace, name).load()
        check_identity(resource, namespace, obj)
        warnings = decode(resource, obj, options.field_validation)
        resource, obj = self._as_stored(resource, obj)
        if obj["metadata"].get("name", name) != name:
            found = obj["metadata"]["name"]
            raise bad_request(f"the name of the object ({found}) does not match the name on the URL ({name})")
        if resource.custom is not None and not obj["metadata"].get("resourceVersion"):
            cause = bad_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid(resource.kind, resource.group, name, [cause])
        self._check_version(resource, obj, old)
        carry_over(obj, old, keep_owners=not options.applied)
        if status:
            new = (
                {**old, "status": obj["status"]} if "status" in obj else {k: v for k, v in old.items() if k != "status"}
            )
        else:
            new = obj
            if "status" in resource.subresources:
                with_status_of(new, old)
            resource.behaviour.carry(new, old)
            resource.behaviour.default(new)
            count_generation(resource, new, old)
            self._check(resource, new, old)
            self._allocate(resource, new, old, options.dry_run)
        return Written(self._store_change(resource, (namespace, name), new, old, options), warnings)

    def change(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        edit: Callable[[Object], Object],
        options: WriteOptions,
        *,
        status: bool = False,
    ) -> Written:
        """Replace an object by what ``edit`` makes of a copy of it: the way of every patch."""
        live = self.record(resource, namespace, name).load()
        obj = edit(live if resource.show is None else resource.show(live))
        if not isinstance(obj, dict):
            raise bad_request("the patch does not leave an object")
        return self.replace(resource, namespace, name, obj, options, status=status)

    def apply(
        self, resource: Resource, namespace: str, name: str, config: Object, options: WriteOptions, *, force: bool
    ) -> Written:
        """Merge an applied configuration into an object, or create it of that.

        Raises:
            StatusError: 409, other managers own what would change and ``force`` is not set; and as `add`, `replace`.
        """
        check_identity(resource, namespace, config)
        warnings = decode(resource, config, options.field_validation)
        resource, config = self._as_stored(resource, config)
        config["metadata"].setdefault("name", name)
        config["metadata"].pop("managedFields", None)
        record = self.store.get(resource.name, (namespace, name))
        blank = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}
        live = blank if record is None else record.load()
        merged = managed_fields.apply_configuration(
            resource, live, config, options.manager, force=force, now=self.clock()
        )
        options = replace(options, applied=True)
        if record is None:
            return Written(self.add(resource, namespace, merged, options).record, warnings, created=True)
        return Written(self.replace(resource, namespace, name, merged, options).record, warnings)

    def erase(self, resource: Resource, namespace: str, name: str, options: DeleteOptions) -> Deleted:
        """Delete an object, or begin to.

        Raises:
            StatusError: 404, 409 (a precondition does not hold).
        """
        resource = self.served.storage(resource)
        record = self.record(resource, namespace, name)
        if resource.custom is not None:
            # Nothing collects what custom resources own, so nothing would ever end a wait for it.
            options = replace(options, propagation="Background")
        if resource.kind == "Namespace":
            return self._housekeeping.end_namespace(name, options)
        plan = plan_deletion(resource, record.load(), options, self.clock())
        if options.dry_run:
            return Deleted(record, plan.removed)
        if plan.marked is not None:
            record = self._store(resource, (namespace, name), plan.marked, dry_run=False)
        if plan.removed:
            return Deleted(self.drop(resource, (namespace, name)), gone=True)
        gone = self._housekeeping.marked(resource, (namespace, name))
        current = self.store.get(resource.name, (namespace, name))
        return Deleted(current if current is not None else record, gone)

    def drop(self, resource: Resource, key: Key) -> Record:
        """Take an object out of the store and clean up after it."""
        record = self.store.remove(resource.name, key)
        if resource.kind == "Service":
            self._addresses.release(record.load())
        self._housekeeping.removed(resource, key)
        return record

    def put(self, resource: Resource, key: Key, obj: Object) -> Record:
        """Store an object as it is: for housekeeping, which changes what no client may."""
        return self._store(resource, key, obj, dry_run=False)

    def subscribe(self, resource: Resource, since: int | None) -> Subscription:
        """Return the changes of a resource, for a watch over HTTP."""
        return self.store.subscribe((resource.stored_name,), since)

    # Objects: what controllers, scheduler, agent and network use.

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return the object, or None."""
        record = self.store.get(resource, (namespace, name))
        return None if record is None else record.load()

    def list(self, resource: str, namespace: str | None = None, labels: dict[str, str] | None = None) -> list[Object]:
        """Return the objects of a namespace (None: of all) whose labels include ``labels``, by namespace and name."""
        wanted = (labels or {}).items()
        return [r.load() for _, r in self.store.items(resource, namespace) if wanted <= r.labels.items()]

    def create(self, resource: str, obj: Object) -> Object:
        """Store a new object and return it as stored."""
        kind = self.served.named(resource)
        return self.add(kind, self._namespace_of(kind, obj), _copy(obj), WriteOptions()).record.load()

    def update(self, resource: str, obj: Object) -> Object:
        """Replace an object but not its status."""
        return self._update(resource, obj, status=False)

    def update_status(self, resource: str, obj: Object) -> Object:
        """Replace the status of an object and nothing else."""
        return self._update(resource, obj, status=True)

    def bind(self, namespace: str, pod: str, node: str) -> None:
        """Bind a pod to a node and set its PodScheduled condition.

        Raises:
            StatusError: 404; 409, the pod is bound or ends already.
        """
        pods = BY_NAME["pods"]
        obj = self.record(pods, namespace, pod).load()
        if obj["spec"].get("nodeName"):
            raise conflict("pods/binding", pod, f'pod {pod} is already assigned to node "{obj["spec"]["nodeName"]}"')
        if "deletionTimestamp" in obj["metadata"]:
            raise conflict("pods/binding", pod, f"pod {pod} is being deleted, cannot be assigned to a host")
        obj["spec"]["nodeName"] = node
        condition = {
            "type": "PodScheduled",
            "status": "True",
            "lastTransitionTime": f"{self.clock():%Y-%m-%dT%H:%M:%SZ}",
        }
        conditions = obj["status"].get("conditions", [])
        obj["status"]["conditions"] = [*(c for c in conditions if c["type"] != "PodScheduled"), condition]
        self._store(pods, (namespace, pod), obj, dry_run=False)

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
        """Delete an object, or begin to: pods go gracefully, finalizers hold."""
        self.erase(self.served.named(resource), namespace, name, DeleteOptions(grace_seconds, propagation, uid))

    def watch(self, *resources: str) -> AsyncIterator[WatchEvent]:
        """Yield an ADDED event for each object that exists, then every change, in order, across all ``resources``."""
        present = [(name, record) for name in resources for _, record in self.store.items(name)]
        subscription = self.store.subscribe(resources, capacity=CONTROLLER_BACKLOG_CHANGES)
        return ObjectWatch(self.store, subscription, present)

    def _update(self, resource: str, obj: Object, *, status: bool) -> Object:
        kind = self.served.named(resource)
        namespace, name = self._namespace_of(kind, obj), obj["metadata"]["name"]
        return self.replace(kind, namespace, name, _copy(obj), WriteOptions(), status=status).record.load()

    @staticmethod
    def _namespace_of(resource: Resource, obj: Object) -> str:
        return str(obj["metadata"].get("namespace") or "default") if resource.namespaced else ""

    # The steps of a write.

    def _as_stored(self, resource: Resource, obj: Object) -> tuple[Resource, Object]:
        """Return as what, and in which form, an object is stored that was written as one of ``resource``."""
        return self.served.storage(resource), obj if resource.store is None else resource.store(obj)

    @staticmethod
    def _check(resource: Resource, obj: Object, old: Object | None) -> None:
        causes = check_metadata(obj, resource.name_rule)
        if obj["metadata"].get("name"):
            causes += resource.behaviour.validate(obj)
        if old is not None and not causes:
            causes += check_metadata_update(obj, old) + resource.behaviour.validate_update(obj, old)
        if causes:
            raise invalid(resource.kind, resource.group, obj["metadata"].get("name", ""), causes)

    @staticmethod
    def _check_version(resource: Resource, obj: Object, old: Object) -> None:
        metadata, before, name = obj["metadata"], old["metadata"], old["metadata"]["name"]
        uid = metadata.get("uid")
        if uid and uid != before["uid"]:
            message = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {before['uid']}"
            raise conflict(resource.name, name, message)
        if metadata.get("resourceVersion") not in (None, "", "0", before["resourceVersion"]):
            raise conflict(resource.name, name, STALE)

    def _allocate(self, resource: Resource, obj: Object, old: Object | None, dry_run: bool) -> None:
        if resource.kind != "Service":
            return
        causes = self._addresses.allocate(obj, old)
        if causes:
            raise invalid(resource.kind, resource.group, obj["metadata"]["name"], causes)
        if dry_run:
            self._addresses.restore(obj, old)

    def _store(self, resource: Resource, key: Key, obj: Object, dry_run: bool) -> Record:
        if dry_run:
            return Record(orjson.dumps(in_order(obj)), self.store.version, {})
        return self.store.put(resource.name, key, in_order(obj))

    def _store_change(self, resource: Resource, key: Key, new: Object, old: Object, options: WriteOptions) -> Record:
        if options.manager and not options.applied:
            managed_fields.track_update(resource, new, old, options.manager, self.clock())
        if new == old:
            return self.record(resource, *key)
        record = self._store(resource, key, new, options.dry_run)
        if options.dry_run:
            return record
        if may_go(new):
            return self.drop(resource, key)
        self._housekeeping.changed(resource, key, new)
        return record


def _copy(obj: Object) -> Object:
    """Return a copy that shares nothing, by way of JSON, which is several times as fast as a deep copy."""
    copied: Object = orjson.loads(orjson.dumps(obj))
    return copied
