"""What the distributed load is deployed as: a master, workers, and what they need, in a namespace of their own. Pure.

    Namespace flametest-load-XXXXXXXX
      ConfigMap locustfile        the load test, as it is in the project
      Service locust-master       headless: its name is the master's address
      Pod locust-master           divides the users among the workers; sends no request itself
      Pod locust-worker-N         sends requests, notes each, and is asked for its notes
      NetworkPolicies             nobody gets in but workers to the master, and whoever asks for samples

They are plain pods that are never started again: a worker that started again would have lost its samples unseen.
"""

from dataclasses import dataclass

from flametest.kube.resources import NAMESPACES, NETWORK_POLICIES, PODS, SERVICES, Object, Resource
from flametest.kube.restricted import container_security, pod_security
from flametest.load.locust_runner import LoadOptions

__all__ = ["CONFIG_MAPS", "CONTAINER", "CONTROL_PORT", "IMAGE", "MASTER", "PodLoad"]

IMAGE = "flametest/load:0.1.0"
MASTER = "locust-master"
CONTAINER = "locust"
CONTROL_PORT = 8089
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")

_MASTER_PORT = 5557
_USER = 10001  # as in the image
_LOCUSTFILE = "/load/locustfile.py"
_EXTENSIONS = tuple(f"/app/flametest/load/locust_{name}.py" for name in ("export", "ids", "serve"))
_SAMPLES = "/tmp/samples.csv"  # noqa: S108 (a volume of the pod's own)
_ENDING_SECONDS = 60  # pods outlive the load's own time limit by this, to be asked for the last samples
_GRACE_SECONDS = 3
# The limit is a whole core: Locust has one thread, and a throttled one would offer less than it was asked to.
_RESOURCES: dict[str, Object] = {
    "master": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "1", "memory": "256Mi"}},
    "worker": {"requests": {"cpu": "250m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
}


@dataclass(frozen=True, slots=True)
class PodLoad:
    """A load that is sent from pods.

    Attributes:
        load: what is offered; its URL is the entry's inside the cluster.
        workers: how many pods send it.
        namespace: where they are; nothing else may be in it.
        key: what has to be known to ask a pod for samples, or to stop it.
        image: of master and workers.
    """

    load: LoadOptions
    workers: int
    namespace: str
    key: str
    image: str = IMAGE

    @property
    def worker_names(self) -> tuple[str, ...]:
        """Return the names of the workers' pods."""
        return tuple(f"locust-worker-{number}" for number in range(self.workers))

    def namespace_object(self, mark: str) -> Object:
        """Return the namespace, marked by a label; its pods have to meet the strictest standard of Kubernetes."""
        labels = {mark: "load", "pod-security.kubernetes.io/enforce": "restricted"}
        return _object(NAMESPACES, {"name": self.namespace, "labels": _labels() | labels})

    def objects(self, locustfile: str) -> list[tuple[Resource, Object]]:
        """Return everything in the namespace, in the order in which it is made.

        Args:
            locustfile: text of the load test.
        """
        made = [
            (CONFIG_MAPS, _object(CONFIG_MAPS, self._metadata("locustfile")) | {"data": {"locustfile.py": locustfile}}),
            (NETWORK_POLICIES, self._policy("workers-to-master", "master", [_from_workers(), _control()])),
            (NETWORK_POLICIES, self._policy("samples-of-workers", "worker", [_control()])),
            (SERVICES, self._service()),
            (PODS, self._pod(MASTER, "master", self._master_arguments())),
        ]
        arguments = ["--worker", "--master-host", f"{MASTER}.{self.namespace}.svc"]
        return made + [(PODS, self._pod(name, "worker", arguments)) for name in self.worker_names]

    def _master_arguments(self) -> list[str]:
        load = self.load
        seconds = max(1, round(load.seconds_max))
        users = ["-u", str(load.users), "-r", str(load.users), "-t", f"{seconds}s", "--host", load.url]
        return ["--master", "--headless", "--only-summary", "--expect-workers", str(self.workers), *users, *load.ending]

    def _service(self) -> Object:
        # Workers look for the master from their start on, and go on when it is not there yet.
        ports = [{"name": "locust", "port": _MASTER_PORT}]
        spec = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": _labels("master"), "ports": ports}
        return _object(SERVICES, self._metadata(MASTER)) | {"spec": spec}

    def _policy(self, name: str, role: str, ingress: list[Object]) -> Object:
        spec = {"podSelector": {"matchLabels": _labels(role)}, "policyTypes": ["Ingress"], "ingress": ingress}
        return _object(NETWORK_POLICIES, self._metadata(name)) | {"spec": spec}

    def _pod(self, name: str, role: str, arguments: list[str]) -> Object:
        spread = {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": _labels("worker")},
        }
        spec: Object = {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": round(self.load.seconds_max) + _ENDING_SECONDS,
            "terminationGracePeriodSeconds": _GRACE_SECONDS,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "topologySpreadConstraints": [spread],
            "securityContext": pod_security(_USER),
            "containers": [self._container(role, arguments)],
            "volumes": [
                {"name": "locustfile", "configMap": {"name": "locustfile"}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}},
            ],
        }
        return _object(PODS, self._metadata(name) | {"labels": _labels(role)}) | {"spec": spec}

    def _container(self, role: str, arguments: list[str]) -> Object:
        variables = {
            "FLAMETEST_LOAD_KEY": self.key,
            **self.load.variables,
            "FLAMETEST_LOAD_PORT": str(CONTROL_PORT),
            "FLAMETEST_LOAD_SAMPLES": _SAMPLES,
        }
        return {
            "name": CONTAINER,
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "args": ["-f", ",".join((*_EXTENSIONS, _LOCUSTFILE)), *arguments, *self.load.arguments],
            "env": [{"name": name, "value": value} for name, value in variables.items()],
            "ports": [{"name": "control", "containerPort": CONTROL_PORT}],
            "resources": _RESOURCES[role],
            "securityContext": container_security(),
            "volumeMounts": [
                {"name": "locustfile", "mountPath": "/load", "readOnly": True},
                {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (a volume)
            ],
        }

    def _metadata(self, name: str) -> Object:
        return {"name": name, "namespace": self.namespace, "labels": _labels()}


def _labels(role: str = "") -> dict[str, str]:
    labels = {"app.kubernetes.io/name": "flametest-load", "app.kubernetes.io/part-of": "flametest"}
    return labels | ({"app.kubernetes.io/component": role} if role else {})


def _from_workers() -> Object:
    ports = [{"protocol": "TCP", "port": _MASTER_PORT}]
    return {"from": [{"podSelector": {"matchLabels": _labels("worker")}}], "ports": ports}


def _control() -> Object:
    # From anywhere: the address from which an API server reaches pods is nobody's to know. The key guards it.
    return {"ports": [{"protocol": "TCP", "port": CONTROL_PORT}]}


def _object(resource: Resource, metadata: Object) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
