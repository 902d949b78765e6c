"""Systems drawn at random, as many people would write them, of which it is known what keeps data."""

import random
from dataclasses import dataclass
from typing import Any

from tests.starter.systems import Object, container, service, workload

__all__ = ["DrawnSystem", "draw_system"]

_PORTS = {"postgres": 5432, "mysql": 3306, "mongo": 27017, "redis": 6379, "rabbitmq": 5672}
_ENDINGS = ("", "-1", ".v2", "-" + "x" * 40, "-api", "0")


@dataclass(frozen=True)
class DrawnSystem:
    """A system's objects, and the names of those of its workloads that keep data."""

    objects: list[Object]
    stores: frozenset[str]


def draw_system(seed: int, replicas_max: int = 12) -> DrawnSystem:
    """Return a system of up to three servers in a row, up to three stores behind them, and what else people have."""
    drawn = random.Random(seed)
    stores = [f"{kind}{drawn.choice(('', '-main'))}" for kind in drawn.sample(sorted(_PORTS), drawn.randint(0, 3))]
    servers = [f"{drawn.choice('abcw123')}{number}{drawn.choice(_ENDINGS)}" for number in range(drawn.randint(1, 3))]
    objects: list[Object] = []
    for number, name in enumerate(servers):
        asked = [*servers[number + 1 : number + 2], *(one for one in stores if drawn.random() < 0.6)]
        objects += _server(drawn, name, [_host(one) for one in asked], replicas_max, is_entry=number == 0)
    for name in stores:
        objects += _store(drawn, name)
    objects += _others(drawn)
    if drawn.random() < 0.3:
        objects.append(_ingress(servers))
    drawn.shuffle(objects)
    return DrawnSystem(objects, frozenset(stores))


def _host(name: str) -> str:
    """Return a Service's name for a workload's: one may have dots and begin with a figure, the other may not."""
    return "s" + name.replace(".", "-")


def _server(drawn: random.Random, name: str, hosts: list[str], replicas_max: int, *, is_entry: bool) -> list[Object]:
    env = [{"name": f"HOST_{number}", "value": f"http://{host}:80"} for number, host in enumerate(hosts)]
    spec: dict[str, Any] = {"replicas": min(drawn.choice((1, 1, 2, 3, 7, 12)), replicas_max)}
    if drawn.random() < 0.2:
        spec["strategy"] = {"type": "Recreate"}
    made = [workload(name, "Deployment", container("main", env=env), **spec)]
    if drawn.random() < 0.2:
        target = {"kind": "Deployment", "name": name, "apiVersion": "apps/v1"}
        made.append(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": _host(name)},
                "spec": {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 12},
            }
        )
    kind = drawn.choice(("NodePort", "ClusterIP", "LoadBalancer")) if is_entry else "ClusterIP"
    if is_entry or drawn.random() < 0.9:
        made.append(service(_host(name), name, type=kind))
    return made


def _store(drawn: random.Random, name: str) -> list[Object]:
    """Return a store as a StatefulSet or a Deployment, with a volume or without, seen by its image or its port."""
    kind, program = drawn.choice(("StatefulSet", "Deployment")), name.removesuffix("-main")
    image = drawn.choice((f"{program}:1", f"docker.io/library/{program}", f"bitnami/{program}:9-debian"))
    main = container("main", image=image, ports=[{"name": "http", "containerPort": _PORTS[program]}])
    claim: Object = {"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    claim["spec"]["resources"] = {"requests": {"storage": "8Mi"}}
    spec: dict[str, Any] = {"replicas": drawn.choice((1, 1, 3)) if kind == "StatefulSet" else 1}
    made = []
    if drawn.random() < 0.7:
        main["volumeMounts"] = [{"name": name, "mountPath": "/data"}]
        if kind == "StatefulSet":
            spec["volumeClaimTemplates"] = [claim]
        else:
            spec["pod"] = {"volumes": [{"name": name, "persistentVolumeClaim": {"claimName": name}}]}
            made.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim})
    if kind == "StatefulSet":
        spec["serviceName"] = _host(name)
    headless = {"clusterIP": "None"} if drawn.random() < 0.3 else {}
    return [workload(name, kind, main, **spec), service(_host(name), name, **headless), *made]


def _others(drawn: random.Random) -> list[Object]:
    """Return a worker, a load generator, an observer, an agent on each node, and what is asleep; some of them."""
    made = {
        "worker": [workload("worker", replicas=1)],
        "loadgenerator": [workload("loadgenerator", replicas=1)],
        "prometheus": [workload("prometheus", replicas=1), service("prometheus")],
        "agent": [workload("agent", "DaemonSet")],
        "asleep": [workload("asleep", replicas=0), service("asleep")],
    }
    return [one for name in made if drawn.random() < 0.3 for one in made[name]]


def _ingress(servers: list[str]) -> Object:
    paths = [
        {
            "path": "/" if number == 0 else f"/{number}(/|$)(.*)",
            "pathType": "Prefix",
            "backend": {"service": {"name": _host(name), "port": {"number": 80}}},
        }
        for number, name in enumerate(servers)
    ]
    spec = {"rules": [{"host": "shop.example", "http": {"paths": paths}}]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "all"}, "spec": spec}
