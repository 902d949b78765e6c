"""What a soak does to a sandbox: random changes drawn from a seed, and the state to which it comes back.

The changes are what users and chaos experiments do. Each is one or few requests, and none waits for its effect, so
that they overlap as they would. `Workload.settle` asks for the same state whatever happened before.
"""

import contextlib
import http.client
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError

from tests.sandbox.conftest import Api
from tests.soak.real_images import SHELL, USER, RealImages

__all__ = ["NAMESPACE", "Workload"]

NAMESPACE = "soak"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"
CORE = f"/api/v1/namespaces/{NAMESPACE}"
MERGE = "application/merge-patch+json"
EVENT_BYTES = 400
EXTRAS_MAX = 12
REPLICAS_MAX = 5
SERVER = "server"
STAND_IN = "busybox:1.36"
IMAGES = (STAND_IN, SHELL, USER)
# What the soak comes back to: (resource, name, replicas, image).
SETTLED = (
    ("deployments", "web", 3, STAND_IN),
    ("deployments", "api", 2, SHELL),
    ("statefulsets", "store", 2, USER),
)
PODS_SETTLED = 3 + 2 + 2 + 3
# Ends at once when it is asked to.
SCRIPT = "trap 'exit 0' TERM; sleep 3600 & wait"

Object = dict[str, Any]


def _template(name: str, image: str) -> Object:
    volume = {"name": "scratch", "emptyDir": {}}
    container = {
        "name": "main",
        "image": image,
        "command": ["sh", "-c", SCRIPT],
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
        "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}},
    }
    spec = {"containers": [container], "volumes": [volume], "terminationGracePeriodSeconds": 3}
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


def _workload(kind: str, name: str, image: str, replicas: int | None) -> Object:
    spec: Object = {"selector": {"matchLabels": {"app": name}}, "template": _template(name, image)}
    if replicas is not None:
        spec["replicas"] = replicas
    if kind == "StatefulSet":
        spec["serviceName"] = name
        spec["podManagementPolicy"] = "Parallel"
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _service(name: str, kind: str = "ClusterIP") -> Object:
    ports = [{"port": 80, "targetPort": 8000}]
    spec = {"type": kind, "selector": {"app": name}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


@dataclass
class Workload:
    """The objects of one soak and the changes made to them."""

    api: Api
    rng: random.Random
    images: RealImages
    done: dict[str, int] = field(default_factory=dict)
    _extras: list[str] = field(default_factory=list)
    _serial: int = 0

    def begin(self) -> None:
        """Create what is there throughout."""
        self.api("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        for resource, name, replicas, image in SETTLED:
            kind = "StatefulSet" if resource == "statefulsets" else "Deployment"
            self.api(f"{APPS}/{resource}", _workload(kind, name, image, replicas))
            self.api(f"{CORE}/services", _service(name, "NodePort" if name == "web" else "ClusterIP"))
        self.api(f"{APPS}/daemonsets", _workload("DaemonSet", "each", STAND_IN, None))
        self._pull()  # so that every image has been unpacked
        self.api.watch_until(f"{CORE}/pods", lambda found: any(map(_runs_server, found["items"])), seconds=60)

    def fill(self, count: int) -> None:
        """Record so many events, so that what the cluster keeps a bounded number of comes to its bounds."""
        involved = {"kind": "Pod", "namespace": NAMESPACE, "name": "filling"}
        bodies = (
            {"metadata": {"name": f"filling.{number}"}, "involvedObject": involved, "message": "x" * EVENT_BYTES}
            for number in range(count)
        )
        self.api.post_all(f"{CORE}/events", bodies)

    def change(self) -> None:
        """Make one change that the seed draws."""
        changes: dict[Callable[[], None], int] = {
            self._scale: 4,
            self._roll_out: 2,
            self._delete_pod: 5,
            self._crash_pod: 1,
            self._add: 3,
            self._remove: 3,
            self._run_job: 1,
            self._visit_namespace: 1,
            self._leave_watch: 2,
            self._read: 3,
            self._toggle_policy: 2,
            self._cordon: 1,
            self._pull: 2,
            self._prune_images: 1,
        }
        (change,) = self.rng.choices(list(changes), list(changes.values()))
        name = change.__name__.strip("_").replace("_", " ")
        self.done[name] = self.done.get(name, 0) + 1
        with _whatever_has_gone():
            change()

    def settle(self) -> None:
        """Ask for the state that the soak comes back to."""
        while self._extras:
            with _whatever_has_gone():
                self._remove()
        for resource, name, replicas, image in SETTLED:
            containers = _template(name, image)["spec"]["containers"]
            template = {"spec": {"containers": containers}}
            self._patch(f"{APPS}/{resource}/{name}", {"spec": {"replicas": replicas, "template": template}})
        self._cordon(on=False)
        self._toggle_policy(on=False)
        # Containers that crashed wait longer each time before they are started again; new pods do not.
        for pod in self.pods():
            if any(status.get("restartCount") for status in pod["status"].get("containerStatuses", ())):
                with _whatever_has_gone():
                    self.api(f"{CORE}/pods/{pod['metadata']['name']}", method="DELETE")
        self.api(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs?propagationPolicy=Background", method="DELETE")

    def pods(self) -> list[Object]:
        """Return all pods of the soak."""
        return list(self.api(f"{CORE}/pods")["items"])

    def unmet(self) -> list[str]:
        """Return what differs from the state that was asked for; empty when it is reached."""
        found = []
        for resource, name, replicas, _ in (*SETTLED, ("daemonsets", "each", 3, STAND_IN)):
            obj = self.api(f"{APPS}/{resource}/{name}")
            status = obj["status"]
            if resource == "daemonsets":
                counts = [status.get(key) for key in ("numberReady", "updatedNumberScheduled", "numberAvailable")]
            else:
                counts = [status.get(key) for key in ("replicas", "readyReplicas", "updatedReplicas")]
            if counts != [replicas] * 3 or status.get("observedGeneration") != obj["metadata"]["generation"]:
                found.append(f"{name}: {counts} for {replicas}")
        pods = self.pods()
        ready = {pod["status"]["podIP"] for pod in pods if _ready(pod)}
        if len(pods) != PODS_SETTLED or len(ready) != PODS_SETTLED:
            found.append(f"{len(pods)} pods with {len(ready)} addresses for {PODS_SETTLED}")
        for _, name, replicas, _ in SETTLED:
            slices = self.api(
                f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
                f"?labelSelector=kubernetes.io/service-name={name}"
            )["items"]
            addresses = [one["addresses"][0] for part in slices for one in part.get("endpoints") or ()]
            if len(addresses) != replicas or not set(addresses) <= ready:
                found.append(f"endpoints of {name}: {addresses}")
        namespaces = {one["metadata"]["name"] for one in self.api("/api/v1/namespaces")["items"]}
        found += [f"namespace {name}" for name in namespaces if name.startswith("visit-")]
        return found

    def _patch(self, path: str, body: Object) -> None:
        self.api(path, body, "PATCH", content_type=MERGE)

    def _any(self) -> tuple[str, str]:
        resource, name, _, _ = self.rng.choice(SETTLED)
        return resource, name

    def _image(self) -> str:
        return self.rng.choice(IMAGES)

    def _scale(self) -> None:
        resource, name = self._any()
        self._patch(f"{APPS}/{resource}/{name}/scale", {"spec": {"replicas": self.rng.randint(0, REPLICAS_MAX)}})

    def _roll_out(self) -> None:
        resource, name = self._any()
        stamp = {"annotations": {"soak": str(self.rng.random())}}
        template = {"metadata": stamp, "spec": {"containers": _template(name, self._image())["spec"]["containers"]}}
        self._patch(f"{APPS}/{resource}/{name}", {"spec": {"template": template}})

    def _some_pod(self) -> str:
        names = sorted(pod["metadata"]["name"] for pod in self.pods())
        return self.rng.choice(names) if names else "none"

    def _delete_pod(self) -> None:
        grace = self.rng.choice(("", "?gracePeriodSeconds=0", "?gracePeriodSeconds=1"))
        self.api(f"{CORE}/pods/{self._some_pod()}{grace}", method="DELETE")

    def _crash_pod(self) -> None:
        """Have a lone pod end by itself with an error, so that it is started again, and go a little later."""
        name = self._next("crash")
        pod = _template(name, self._image()) | {"metadata": {"name": name, "labels": {"app": name}}}
        pod["spec"]["containers"][0]["command"] = ["sh", "-c", "echo going; exit 3"]
        self._create(f"{CORE}/pods", name, pod)

    def _add(self) -> None:
        name = self._next("extra")
        self._create(f"{APPS}/deployments", name, _workload("Deployment", name, self._image(), self.rng.randint(1, 2)))
        self._create(f"{CORE}/services", name, _service(name, self.rng.choice(("ClusterIP", "NodePort"))))
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
        self._create(f"{CORE}/persistentvolumeclaims", name, {"metadata": {"name": name}, "spec": claim})

    def _create(self, collection: str, name: str, body: Object) -> None:
        """Create an extra object; the oldest one makes room for it, so that they do not add up over the soak."""
        while len(self._extras) >= EXTRAS_MAX:
            self._remove()
        self.api(collection, body)
        self._extras.append(f"{collection}/{name}")

    def _remove(self) -> None:
        if self._extras:
            policy = self.rng.choice(("Background", "Foreground"))
            self.api(f"{self._extras.pop(0)}?propagationPolicy={policy}", method="DELETE")

    def _run_job(self) -> None:
        template = _template("job", self._image())
        template["spec"] |= {"restartPolicy": "Never"}
        template["spec"]["containers"][0]["command"] = ["sh", "-c", "echo done"]
        spec = {"template": template, "ttlSecondsAfterFinished": 1}
        self.api(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs", {"metadata": {"name": self._next("job")}, "spec": spec})

    def _visit_namespace(self) -> None:
        name = self._next("visit")
        self.api("/api/v1/namespaces", {"metadata": {"name": name}})
        pod = _template(name, self._image()) | {"metadata": {"name": "visitor"}}
        self.api(f"/api/v1/namespaces/{name}/pods", pod)
        self.api(f"/api/v1/namespaces/{name}", method="DELETE")

    def _leave_watch(self) -> None:
        """Open a watch, take its first line, and go away without a word."""
        path = self.rng.choice((f"{CORE}/pods", f"{APPS}/deployments", "/api/v1/events"))
        with self.api.open(f"{path}?watch=1") as answer:
            answer.readline()

    def _read(self) -> None:
        for path in (f"{CORE}/pods", "/api/v1/nodes", f"{CORE}/events"):
            self.api(path)
        try:
            with self.api.open(f"{CORE}/pods/{self._some_pod()}/log") as answer:
                answer.read()
        except HTTPError as error:
            if error.code not in (400, 404):
                raise
        except http.client.IncompleteRead:
            # The pod went while its log was read.
            pass

    def _toggle_policy(self, *, on: bool | None = None) -> None:
        path = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"
        there = bool(self.api(path)["items"])
        if there and on is not True:
            self.api(f"{path}/closed", method="DELETE")
        elif not there and on is not False:
            spec = {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"from": [{"podSelector": {}}]}]}
            self.api(path, {"metadata": {"name": "closed"}, "spec": spec})

    def _pull(self) -> None:
        """Have a pod pull its image from the registry, whether or not the store has it; it goes a little later."""
        name = self._next("server")
        container = {"name": SERVER, "image": self.images.pulled, "imagePullPolicy": "Always"}
        spec = {"containers": [container], "terminationGracePeriodSeconds": 1}
        self._create(f"{CORE}/pods", name, {"metadata": {"name": name, "labels": {"app": name}}, "spec": spec})

    def _prune_images(self) -> None:
        """Remove what no image needs; what runs and what is being pulled has to stay."""
        self.images.store.prune(names=False)

    def _cordon(self, *, on: bool | None = None) -> None:
        cordoned = self.rng.random() < 0.5 if on is None else on
        self._patch("/api/v1/nodes/sandbox-3", {"spec": {"unschedulable": cordoned or None}})

    def _next(self, kind: str) -> str:
        self._serial += 1
        return f"{kind}-{self._serial}"


@contextlib.contextmanager
def _whatever_has_gone() -> Iterator[None]:
    """Let a change find that another one has deleted what it is about."""
    try:
        yield
    except HTTPError as error:
        if error.code not in (404, 409):
            raise


def _runs_server(pod: Object) -> bool:
    return _ready(pod) and pod["spec"]["containers"][0]["name"] == SERVER


def _ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", ())
    going = "deletionTimestamp" in pod["metadata"]
    return not going and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
