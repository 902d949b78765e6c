"""What a run inside the cluster consists of, as objects to print or to apply. Pure.

Namespace flametest-runner                      of its own, so that no fault, watch or policy of the system meets it
  ServiceAccount, ConfigMaps                    who runs, and what: experiments, limits, the load test
  NetworkPolicy                                 nobody gets in but whoever fetches the report
  PersistentVolumeClaim state                   the undo journal, which has to outlive the pod
  Job                                           one pod, once
Role, RoleBinding in the system's namespace     what the experiments and the recorder need there
Role, RoleBinding in others                     likewise, where an experiment names further namespaces
ClusterRole, ClusterRoleBinding                 only where an experiment needs something of the whole cluster
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flametest.faults.own_namespace import MARK
from flametest.incluster.rules import rules_of
from flametest.incluster.runner import HOLD_VARIABLE, KEY_VARIABLE, REPORT_PORT
from flametest.kube.resources import Object
from flametest.kube.restricted import container_security, pod_security
from flametest.manifests import Manifest
from flametest.run.needs import Needs

__all__ = ["IMAGE", "JOB", "RUNNER_NAMESPACE", "JobOptions", "job_manifests"]

IMAGE = "flametest/flametest:0.1.0"
JOB = "flametest"
RUNNER_NAMESPACE = "flametest-runner"

_USER = 10001  # as in the image
_RBAC = "rbac.authorization.k8s.io"
_GRACE_SECONDS = 60  # to heal, when the pod is evicted or deleted
_KEPT_SECONDS = 3600  # the Job and its log, when nobody removes them


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What is run inside.

    Attributes:
        namespace: of the system under test.
        url: its entry, as pods have it.
        run_arguments: of ``flametest run``, beside where and what.
        experiments: text of each file of experiments/, by its name; limits and suites among them.
        locustfile: text of the load test.
        key: what has to be known to fetch the report.
        seconds_max: the Job is ended after so long.
        hold_seconds: how long the report waits to be fetched.
        image: of Flametest.
    """

    namespace: str
    url: str
    run_arguments: tuple[str, ...]
    experiments: Mapping[str, str]
    locustfile: str
    key: str
    seconds_max: int = 7200
    hold_seconds: int = 600
    image: str = IMAGE


def job_manifests(options: JobOptions, needs: Needs) -> list[Manifest]:
    """Return everything, in the order in which it is applied.

    Args:
        options: what is run.
        needs: the rights of the experiments and of the recorder.
    """
    experiments = _own("v1", "ConfigMap", "experiments") | {"data": dict(options.experiments)}
    load_test = _own("v1", "ConfigMap", "loadtests") | {"data": {"locustfile.py": options.locustfile}}
    objects = [
        _namespace(),
        _own("v1", "ServiceAccount", JOB),
        *_grants("Role", {"name": RUNNER_NAMESPACE, "namespace": options.namespace}, rules_of(needs, everywhere=False)),
        *_further_grants(needs, options.namespace),
        *_grants("ClusterRole", {"name": f"{RUNNER_NAMESPACE}-{options.namespace}"}, rules_of(needs, everywhere=True)),
        experiments,
        load_test,
        _policy(),
        _claim(),
        _job(options),
    ]
    return [Manifest(f"{one['kind']} {one['metadata']['name']}", one) for one in objects]


def _namespace() -> Object:
    labels = {MARK: "runner", "pod-security.kubernetes.io/enforce": "restricted"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": RUNNER_NAMESPACE, "labels": _labels() | labels},
    }


def _further_grants(needs: Needs, system: str) -> list[Object]:
    """Return the roles in other namespaces than the system's, which carry its name: several Jobs may name one."""
    return [
        made
        for namespace in sorted({right.namespace for right in needs if right.namespace})
        for made in _grants(
            "Role",
            {"name": f"{RUNNER_NAMESPACE}-{system}", "namespace": namespace},
            rules_of(needs, everywhere=False, namespace=namespace),
        )
    ]


def _grants(role: str, metadata: Object, rules: list[Object]) -> list[Object]:
    """Return a role and its binding to the runner's account; nothing where there is nothing to grant."""
    if not rules:
        return []
    head = {"apiVersion": f"{_RBAC}/v1", "metadata": metadata | {"labels": _labels()}}
    account = {"kind": "ServiceAccount", "name": JOB, "namespace": RUNNER_NAMESPACE}
    bound = {"roleRef": {"apiGroup": _RBAC, "kind": role, "name": metadata["name"]}, "subjects": [account]}
    return [head | {"kind": role, "rules": rules}, head | {"kind": f"{role}Binding"} | bound]


def _policy() -> Object:
    # From anywhere: the address from which an API server reaches pods is nobody's to know. The key guards the report.
    admitted = {"ports": [{"protocol": "TCP", "port": REPORT_PORT}]}
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [admitted]}
    return _own("networking.k8s.io/v1", "NetworkPolicy", JOB) | {"spec": spec}


def _claim() -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}}
    return _own("v1", "PersistentVolumeClaim", "state") | {"spec": spec}


def _job(options: JobOptions) -> Object:
    pod: Object = {
        "restartPolicy": "Never",
        "serviceAccountName": JOB,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": pod_security(_USER) | {"fsGroup": _USER},
        "containers": [_container(options)],
        "volumes": [
            {"name": "experiments", "configMap": {"name": "experiments"}},
            {"name": "loadtests", "configMap": {"name": "loadtests"}},
            {"name": "state", "persistentVolumeClaim": {"claimName": "state"}},
            {"name": "reports", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    spec = {
        # A second pod would inject every fault again.
        "backoffLimit": 0,
        "activeDeadlineSeconds": options.seconds_max,
        "ttlSecondsAfterFinished": _KEPT_SECONDS,
        "template": {"metadata": {"labels": _labels()}, "spec": pod},
    }
    return _own("batch/v1", "Job", JOB) | {"spec": spec}


def _container(options: JobOptions) -> Object:
    where = ("--cluster", "in-cluster", "--no-deploy", "--namespace", options.namespace, "--url", options.url)
    variables = {
        "FLAMETEST_HOME": "/state",
        HOLD_VARIABLE: str(options.hold_seconds),
        KEY_VARIABLE: options.key,
        "HOME": "/tmp",  # noqa: S108 (a volume)
    }
    mounts = {"experiments": "/project/experiments", "loadtests": "/project/loadtests", "state": "/state"}
    mounts |= {"reports": "/reports", "tmp": "/tmp"}  # noqa: S108 (a volume)
    return {
        "name": "flametest",
        "image": options.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "flametest.incluster.runner"],
        "args": [*where, *options.run_arguments],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "ports": [{"name": "report", "containerPort": REPORT_PORT}],
        # What measures has to get its turn at once, also beside a busy system.
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"cpu": "2", "memory": "2Gi"}},
        "securityContext": container_security(),
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
    }


def _own(api_version: str, kind: str, name: str) -> Object:
    metadata = {"name": name, "namespace": RUNNER_NAMESPACE, "labels": _labels()}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def _labels() -> dict[str, str]:
    return {"app.kubernetes.io/name": "flametest-runner", "app.kubernetes.io/part-of": "flametest"}
