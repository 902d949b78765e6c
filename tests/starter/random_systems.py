"""Systems drawn at random whose roles, needs and entry are known, rendered as manifests in the styles that people use.

A need is rendered by one of `WAYS`, each a place where people write hosts; beside it stand decoys, which name a Service
where no host stands. What is expected is known from the drawing, never read from the manifests.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

__all__ = ["WAYS", "RandomSystem", "draw_system"]

Object = dict[str, Any]

SERVICES = [
    "api",
    "orders",
    "order-history",
    "users",
    "accounts",
    "cart",
    "catalog",
    "search",
    "checkout",
    "payment",
    "shipping",
    "auth",
    "auth-proxy",
    "mailer-api",
    "recommend",
    "reviews",
    "ratings",
    "details",
    "gateway",
    "web",
    "frontend",
]
STORES = {
    "db": ("postgres:16", 5432, "postgres"),
    "orders-db": ("mysql:8", 3306, "mysql"),
    "postgres": ("bitnami/postgresql:15", 5432, "postgresql"),
    "mongo": ("mongo:7", 27017, "mongodb"),
    "redis": ("redis:7", 6379, "redis"),
    "session-cache": ("memcached:1.6", 11211, "memcached"),
    "rabbitmq": ("rabbitmq:3-management", 5672, "amqp"),
    "files": ("shop/files:1", 8080, "http"),
}
WORKERS = ("mailer", "indexer", "billing-job", "sync")
NAMES = ("{name}", "{name}", "{name}", "{name}-deployment", "{name}.v2", "0{name}", "{name}-" + "x" * 30)
REPLICAS_MAX = 12

# Where a Service's name stands and no host does.
DECOYS = (
    ("DB_USER", "{name}"),
    ("QUEUE_NAME", "{name}"),
    ("CACHE_BACKEND", "redis"),
    ("FEED_URL", "http://api.example.org/{name}/list"),
    ("LOGIN_URL", "https://login.example.org/?next=http://{name}/home"),
    ("MIRROR_HOST", "{name}.example.com"),
    ("ELSEWHERE_URL", "http://{name}.another:80/"),
    ("CORS_ORIGIN", "http://{name}"),
    ("ADMIN_EMAIL", "root@{name}"),
    ("IMAGE", "registry.example/{name}:16"),
    ("GREETING", "we talk to {name} now and then"),
)
DECOY_ARGUMENTS = ("--log-name={name}", "--config=/etc/{name}/{name}.yaml", "--user={name}", "{name}")


@dataclass
class Part:
    """A part to render: its port and scheme, and what it is given to know whom it asks."""

    name: str
    port: int
    scheme: str
    image: str
    kind: str = "Deployment"
    labels: dict[str, str] = field(default_factory=dict)
    env: list[Object] = field(default_factory=list)
    env_from: list[Object] = field(default_factory=list)
    args: list[str] = field(default_factory=list)
    inits: list[Object] = field(default_factory=list)
    volumes: list[Object] = field(default_factory=list)
    mounts: list[Object] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    claim: bool = False
    workload: str = ""
    replicas: int = 1


@dataclass
class RandomSystem:
    """A drawn system: its objects, and what is true of it.

    Attributes:
        objects: in no order.
        entry: the part that users come to.
        needs: which part asks which.
        stores: the parts that keep data.
        rendered: how each need was written.
        parts: by the names of their workloads.
    """

    objects: list[Object]
    entry: str
    needs: set[tuple[str, str]]
    stores: set[str]
    rendered: dict[tuple[str, str], str]
    parts: dict[str, str]

    @property
    def store_workloads(self) -> list[str]:
        """Return the names of the workloads that keep data."""
        return [workload for workload, part in self.parts.items() if part in self.stores]


@dataclass
class Drawing:
    """What a need is rendered into: the part that asks, and objects beside it."""

    random: Random
    namespace: str
    others: list[Object]

    def variable(self, target: Part) -> str:
        """Return the beginning of the names of variables about a part."""
        return target.name.upper().replace("-", "_")

    def host(self, target: Part) -> str:
        """Return one of the names by which a Service is found."""
        ends = ["", "", "", f".{self.namespace}", f".{self.namespace}.svc", f".{self.namespace}.svc.cluster.local"]
        return target.name + self.random.choice(ends)

    def url(self, target: Part) -> str:
        """Return a URL of a part, with a user where its kind has some."""
        user = self.random.choice(["", "user:se-cr.et@", "root@"]) if target.scheme != "http" else ""
        path = self.random.choice(["", "/", "/v1/list", "/0?timeout=3"])
        return f"{target.scheme}://{user}{self.host(target)}:{target.port}{path}"

    def config_map(self, asking: Part, **data: str) -> str:
        """Add a ConfigMap with keys that nobody wants, and return its name."""
        name = f"{asking.name}-config-{len(self.others)}"
        self.others.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
        return name


Way = Callable[[Drawing, Part, Part], None]


def env_url(drawing: Drawing, asking: Part, target: Part) -> None:
    asking.env.append({"name": f"{drawing.variable(target)}_URL", "value": drawing.url(target)})


def env_host(drawing: Drawing, asking: Part, target: Part) -> None:
    key = drawing.random.choice(["HOST", "ADDR", "SERVER", "HOSTNAME", "ENDPOINT"])
    asking.env.append({"name": f"{drawing.variable(target)}_{key}", "value": drawing.host(target)})
    asking.env.append({"name": f"{drawing.variable(target)}_PORT", "value": str(target.port)})


def env_address(drawing: Drawing, asking: Part, target: Part) -> None:
    asking.env.append({"name": f"{drawing.variable(target)}_ADDR", "value": f"{drawing.host(target)}:{target.port}"})


def env_list(drawing: Drawing, asking: Part, target: Part) -> None:
    value = f"seed.example.org:{target.port},{drawing.host(target)}:{target.port}"
    asking.env.append({"name": f"{drawing.variable(target)}_SERVERS", "value": value})


def env_source(drawing: Drawing, asking: Part, target: Part) -> None:
    value = drawing.random.choice(
        [
            f"root:pw@tcp({drawing.host(target)}:{target.port})/shop?parseTime=true",
            f"host={drawing.host(target)} port={target.port} user=web dbname=shop sslmode=disable",
            f"Server={drawing.host(target)};Port={target.port};Database=shop;Uid=root;",
            f"jdbc:{target.scheme}://{drawing.host(target)}:{target.port}/shop",
        ]
    )
    asking.env.append({"name": "DSN", "value": value})


def env_composed(drawing: Drawing, asking: Part, target: Part) -> None:
    part = f"PART{len(asking.env)}"
    asking.env.append({"name": part, "value": drawing.host(target)})
    asking.env.append({"name": f"{part}_LINK", "value": f"{target.scheme}://$({part}):{target.port}"})


def kubernetes_variable(drawing: Drawing, asking: Part, target: Part) -> None:
    name = drawing.variable(target)
    asking.args.append(f"--at=$({name}_SERVICE_HOST):$({name}_SERVICE_PORT)")


def env_from(drawing: Drawing, asking: Part, target: Part) -> None:
    data = {f"{drawing.variable(target)}_URL": drawing.url(target), "LOG_LEVEL": "info"}
    asking.env_from.append({"configMapRef": {"name": drawing.config_map(asking, **data)}})


def env_key(drawing: Drawing, asking: Part, target: Part) -> None:
    name = drawing.config_map(asking, host=drawing.host(target), other="http://another-one.example/x")
    wanted = {"configMapKeyRef": {"name": name, "key": "host"}}
    asking.env.append({"name": f"{drawing.variable(target)}_HOST", "valueFrom": wanted})


def secret(drawing: Drawing, asking: Part, target: Part) -> None:
    name = f"{asking.name}-secret-{len(drawing.others)}"
    drawing.others.append(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"url": drawing.url(target)}}
    )
    wanted = {"secretKeyRef": {"name": name, "key": "url"}}
    asking.env.append({"name": f"{drawing.variable(target)}_URL", "valueFrom": wanted})


def args(drawing: Drawing, asking: Part, target: Part) -> None:
    host, name = drawing.host(target), target.name
    asking.args += drawing.random.choice(
        [
            [f"--{name}-host={host}"],
            [f"--{name}-host", host],
            [f"--{name}-url={drawing.url(target)}"],
            [f"--{name}", f"{host}:{target.port}"],
            ["--connect", f"{target.scheme}://{host}:{target.port}"],
        ]
    )


def file(drawing: Drawing, asking: Part, target: Part) -> None:
    host, port = drawing.host(target), target.port
    key, text = drawing.random.choice(
        [
            (
                "nginx.conf",
                f"upstream pool {{\n  server {host}:{port};\n}}\nlocation / {{\n  proxy_pass http://pool;\n}}\n",
            ),
            ("nginx.conf", f"location / {{\n  proxy_pass http://{host}:{port}/;\n}}\n"),
            ("application.properties", f"spring.datasource.url=jdbc:{target.scheme}://{host}:{port}/shop\n"),
            ("application.properties", f"part.host={host}\npart.port={port}\n"),
            ("application.yaml", f"part:\n  host: {host}\n  port: {port}\n"),
            ("settings.json", f'{{"part": {{"host": "{host}", "port": {port}}}}}'),
            ("settings.toml", f'[part]\naddress = "{host}:{port}"\n'),
            ("app.ini", f"[part]\nserver = {host}\n"),
            ("haproxy.cfg", f"backend pool\n  server one {host}:{port} check\n"),
        ]
    )
    name = drawing.config_map(asking, **{key: text})
    volume = f"v{len(asking.volumes)}"
    asking.volumes.append({"name": volume, "configMap": {"name": name}})
    asking.mounts.append({"name": volume, "mountPath": f"/etc/{volume}"})


def waiting(drawing: Drawing, asking: Part, target: Part) -> None:
    host, port = drawing.host(target), target.port
    command = drawing.random.choice(
        [
            f"until nc -z {host} {port}; do sleep 1; done",
            f"while ! nc -z -w 2 {host} {port}; do echo waiting; sleep 2; done;",
            f"./wait-for-it.sh {host}:{port} -t 60",
            f"until nslookup {host}; do echo waiting; sleep 2; done",
            f"until wget -q -O - http://{host}:{port}/healthz; do sleep 1; done",
            f"until (echo > /dev/tcp/{host}/{port}) 2>/dev/null; do sleep 1; done",
            f"until pg_isready -h {host} -p {port}; do sleep 1; done",
        ]
    )
    asking.inits.append({"name": f"wait-{len(asking.inits)}", "image": "busybox:1", "command": ["sh", "-c", command]})


def annotation(drawing: Drawing, asking: Part, target: Part) -> None:
    key, value = drawing.random.choice(
        [("app.openshift.io/connects-to", f'["{target.name}"]'), ("shop.example/upstream-url", drawing.url(target))]
    )
    asking.annotations[key] = value


WAYS: tuple[Way, ...] = (
    env_url,
    env_host,
    env_address,
    env_list,
    env_source,
    env_composed,
    kubernetes_variable,
    env_from,
    env_key,
    secret,
    args,
    file,
    waiting,
    annotation,
)


def draw_system(seed: int, replicas_max: int = REPLICAS_MAX) -> RandomSystem:
    """Return the system of a seed, whose workloads have no more than so many pods each."""
    random = Random(seed)
    services = [Part(one, 80, "http", f"shop/{one}:1") for one in random.sample(SERVICES, random.randint(1, 6))]
    stores = [
        Part(one, port, scheme, image)
        for one, (image, port, scheme) in random.sample(sorted(STORES.items()), random.randint(0, 3))
    ]
    workers = [Part(one, 0, "", f"shop/{one}:1") for one in random.sample(WORKERS, random.randint(0, 2))]
    drawing = Drawing(random, "shop", [])
    for one in (*services, *workers):
        one.workload = random.choice(NAMES).format(name=one.name)
        one.replicas = min(random.choice((1, 1, 2, 3, 7, 12)), replicas_max)
    for store in stores:
        store.kind = random.choice(["Deployment", "StatefulSet"])
        store.claim = store.name == "files" or random.random() < 0.5
        store.workload = random.choice((store.name, f"{store.name}-deployment"))
        store.replicas = min(random.choice((1, 1, 3)), replicas_max) if store.kind == "StatefulSet" else 1
    rendered = _connect(drawing, services, stores, workers)
    entry = services[0]
    for part in (*services, *stores, *workers):
        part.labels = _labels(random, part.name)
        _mislead(drawing, part, [one for one in (*services, *stores) if (part.name, one.name) not in rendered])
    parts = (*services, *stores, *workers)
    objects = [one for part in parts for one in _objects(random, part, entry.name)]
    objects += [*drawing.others, *_openings(random, entry, services), *_beside(random, entry)]
    random.shuffle(objects)
    known = {one.workload: one.name for one in parts}
    return RandomSystem(objects, entry.name, set(rendered), {one.name for one in stores}, rendered, known)


def _connect(
    drawing: Drawing, services: list[Part], stores: list[Part], workers: list[Part]
) -> dict[tuple[str, str], str]:
    """Let each part ask some of those behind it, each of the services be asked by one before it, most of the time."""
    random = drawing.random
    rendered: dict[tuple[str, str], str] = {}
    edges = [(services[random.randrange(number)], one) for number, one in enumerate(services) if number]
    edges = [edge for edge in edges if random.random() < 0.9]
    edges += [(random.choice([*services, *workers]), store) for store in stores for _ in range(random.randint(0, 2))]
    edges += [(worker, random.choice([*services, *stores])) for worker in workers if random.random() < 0.5]
    for asking, target in edges:
        if target is services[0] or (asking.name, target.name) in rendered:
            continue
        way = random.choice([one for one in WAYS if _suits(one, asking)])
        way(drawing, asking, target)
        rendered[asking.name, target.name] = way.__name__
    return rendered


def _suits(way: Way, asking: Part) -> bool:
    return way is not annotation or not asking.annotations


def _mislead(drawing: Drawing, part: Part, others: list[Part]) -> None:
    """Name parts that are not asked in places where no host stands."""
    random = drawing.random
    for other in others:
        if other.name == part.name or random.random() < 0.4:
            continue
        chosen = random.choice(("variable", "argument", "annotation", "file", "key"))
        if chosen == "variable":
            key, value = random.choice(DECOYS)
            part.env.append({"name": key, "value": value.format(name=other.name)})
        elif chosen == "argument":
            part.args.append(random.choice(DECOY_ARGUMENTS).format(name=other.name))
        elif chosen == "annotation":
            part.annotations["description"] = f"stands before {other.name} in the line"
            part.annotations["shop.example/docs-url"] = f"http://{other.name}/docs"
        elif chosen == "file":
            _decoy_file(drawing, part, other.name)
        else:
            _decoy_key(drawing, part, other.name)


def _decoy_file(drawing: Drawing, part: Part, name: str) -> None:
    text = f"# later: http://{name}:80\n  // host={name}\nname: {name}\ndatabase = {name}\nlog = /var/log/{name}.log\n"
    config = drawing.config_map(part, **{"app.conf": text, "README.md": f"It once asked http://{name}/.\n"})
    volume = f"v{len(part.volumes)}"
    part.volumes.append({"name": volume, "configMap": {"name": config}})
    part.mounts.append({"name": volume, "mountPath": f"/etc/{volume}"})


def _decoy_key(drawing: Drawing, part: Part, name: str) -> None:
    config = drawing.config_map(part, LEVEL="info", OTHER_URL=f"http://{name}:80")
    part.env.append({"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": config, "key": "LEVEL"}}})


def _labels(random: Random, name: str) -> dict[str, str]:
    return random.choice(
        [
            {"app": name},
            {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "shop-release"},
            {"app": "shop", "component": name},
        ]
    )


def _objects(random: Random, part: Part, entry: str) -> list[Object]:
    """Return the workload of a part, and its Service unless it is a worker."""
    is_helm = "app.kubernetes.io/name" in part.labels
    extra = {"helm.sh/chart": f"{part.name}-1.0.0", "app.kubernetes.io/managed-by": "Helm"} if is_helm else {}
    container: Object = {"name": random.choice(["main", part.name]), "image": part.image}
    found: list[Object] = []
    given = {"env": part.env, "envFrom": part.env_from, "args": part.args, "volumeMounts": part.mounts}
    container |= {key: value for key, value in given.items() if value}
    pod: Object = {"containers": [container], "volumes": part.volumes}
    if part.port:
        container["ports"] = [{"containerPort": part.port if part.scheme != "http" else 8080, "name": "main"}]
    if part.inits:
        pod["initContainers"] = part.inits
    if part.claim:
        claim = f"{part.name}-data"
        container["volumeMounts"] = [*part.mounts, {"name": "data", "mountPath": "/data"}]
        pod["volumes"] = [*part.volumes, {"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        spec: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8Mi"}}}
        found.append({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": claim}, "spec": spec})
    template = {"metadata": {"labels": part.labels | extra, "annotations": part.annotations}, "spec": pod}
    spec = {"replicas": part.replicas, "selector": {"matchLabels": part.labels}, "template": template}
    spec |= {"serviceName": part.name} if part.kind == "StatefulSet" else {}
    if part.kind == "Deployment" and random.random() < 0.2:
        spec["strategy"] = {"type": "Recreate"}
    metadata = {"name": part.workload, "labels": part.labels | extra}
    found.append({"apiVersion": "apps/v1", "kind": part.kind, "metadata": metadata, "spec": spec})
    if part.port and part.name != entry:
        headless = {"clusterIP": "None"} if part.kind == "StatefulSet" and random.random() < 0.3 else {}
        found.append(_service(part, **headless))
    if part.scheme == "http" and part.kind == "Deployment" and not part.claim and random.random() < 0.2:
        found.append(_autoscaler(part.workload))
    return found


def _autoscaler(workload: str) -> Object:
    target = {"kind": "Deployment", "name": workload, "apiVersion": "apps/v1"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": REPLICAS_MAX}
    kind = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
    return kind | {"metadata": {"name": workload}, "spec": spec}


def _service(part: Part, **spec: object) -> Object:
    ports = [{"port": part.port, "targetPort": "main", "name": "main"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": part.name},
        "spec": {"selector": part.labels, "ports": ports, **spec},
    }


def _openings(random: Random, entry: Part, services: list[Part]) -> list[Object]:
    """Return the Service of the entry, and by what users come to it."""
    way = random.choice(["ingress", "route", "NodePort", "LoadBalancer", "ClusterIP"])
    if way in ("NodePort", "LoadBalancer", "ClusterIP"):
        return [_service(entry, type=way)]
    others = [(f"/{one.name}", one.name) for one in services[1:] if random.random() < 0.3]
    routes = [*others, ("/", entry.name)]
    if way == "ingress":
        paths = [
            {"path": path, "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"number": 80}}}}
            for path, name in routes
        ]
        spec: Object = {"rules": [{"host": "shop.example", "http": {"paths": paths}}]}
        kind = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"}
    else:
        rules = [
            {"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": [{"name": name, "port": 80}]}
            for path, name in routes
        ]
        spec = {"parentRefs": [{"name": "edge"}], "rules": rules}
        kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
    return [_service(entry), kind | {"metadata": {"name": "shop"}, "spec": spec}]


def _beside(random: Random, entry: Part) -> list[Object]:
    """Return parts that look on or play users, which are no users, that are on each node, and that are asleep."""
    found: list[Object] = []
    if random.random() < 0.4:
        found += _plain("loadgenerator", "shop/loadgenerator:1", {"name": "TARGET", "value": f"http://{entry.name}"})
    if random.random() < 0.4:
        found += _plain("grafana", "grafana/grafana:11", None)
        found.append(_service(Part("grafana", 3000, "http", "", labels={"app": "grafana"}), type="NodePort"))
    if random.random() < 0.3:
        found += _plain("statsd", "shop/statsd:1", None)
        ports = [{"port": 8125, "protocol": "UDP"}]
        found.append(_service(Part("statsd", 8125, "", "", labels={"app": "statsd"}), ports=ports))
    if random.random() < 0.3:
        found += _plain("agent", "shop/agent:1", None, "DaemonSet")
    if random.random() < 0.3:
        (asleep,) = _plain("asleep", "shop/asleep:1", None)
        asleep["spec"]["replicas"] = 0
        found += [asleep, _service(Part("asleep", 80, "http", "", labels={"app": "asleep"}))]
    return found


def _plain(name: str, image: str, variable: Object | None, kind: str = "Deployment") -> list[Object]:
    container = {"name": "main", "image": image, "env": [variable] if variable else []}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
    return [{"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}]
