"""Systems whose smallest breaking sets are known: the shop, the examples and the standbys with one change each.

A variant is a copy of a system with texts replaced in its manifests and settings, a promise, and the faults that are
combined. What breaks it was worked out from its code and settings, as ``why`` tells.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.search.standbys import write_project

__all__ = ["VARIANTS", "Patch", "Variant", "write_variant"]

ROOT = Path(__file__).parents[2]
BASES: Mapping[str, tuple[Path, tuple[str, ...]]] = {
    "shop": (ROOT, ("manifests", "services", "experiments")),
    "quotes": (ROOT / "examples" / "quotes", ("manifests", "service")),
    "parcels": (ROOT / "examples" / "parcels", ("manifests", "service")),
}


@dataclass(frozen=True)
class Patch:
    """A text of a file that is replaced by another one, each time that it stands there; it has to be there."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Variant:
    """A system, what is promised of it, and what is known to break that.

    Attributes:
        name: tells it from others.
        base: the system: ``shop``, ``quotes``, ``parcels``, or so many backends of `tests.search.standbys`.
        why: why it breaks, or does not.
        promise, faults, path: as ``flametest search`` takes them.
        breaks: a set that has to be found; none where nothing may be found.
        patches: what is changed.
        size: so many faults at most in one set.
    """

    name: str
    base: str | int
    why: str
    promise: tuple[str, ...]
    faults: tuple[str, ...]
    breaks: frozenset[str] = frozenset()
    patches: tuple[Patch, ...] = ()
    path: str = ""
    size: int = 2

    @property
    def options(self) -> tuple[str, ...]:
        """Return the options of ``flametest search``."""
        named = [("--promise", one) for one in self.promise] + [("--faults", one) for one in self.faults]
        named += [("--path", self.path)] if self.path else []
        return (*(part for pair in named for part in pair), "--size", str(self.size))


def write_variant(variant: Variant, root: Path) -> None:
    """Write a variant's project into a folder.

    Raises:
        ValueError: a text to replace is not there.
    """
    if isinstance(variant.base, int):
        write_project(root, variant.base)
    else:
        source, folders = BASES[variant.base]
        for one in folders:
            shutil.copytree(source / one, root / one, ignore=shutil.ignore_patterns("__pycache__", "ledger.toml"))
    for patch in variant.patches:
        file = root / patch.file
        text = file.read_text()
        if patch.old not in text:
            raise ValueError(f"variant {variant.name}: {patch.file} has no {patch.old!r}")
        file.write_text(text.replace(patch.old, patch.new))


def _one(*names: str) -> frozenset[str]:
    return frozenset(names)


_SYSTEM, _LOGIC, _API = "manifests/system.yaml", "manifests/31-logic.yaml", "manifests/30-api.yaml"
_FRONTEND, _COUNTER = "manifests/32-frontend.yaml", "service/counter.py"
_SHOP_EVENTS = "/shop/api/events"
_TWO_PODS = "spec:\n  replicas: 2\n"
_ONE_POD = "spec:\n  replicas: 1\n"
_SURGE = "    rollingUpdate:\n      maxSurge: 1\n      maxUnavailable: 0\n"
_RECREATE = Patch(_API, f"    type: RollingUpdate\n{_SURGE}", "    type: Recreate\n")
_AT_ONCE = Patch(
    _LOGIC,
    """\
          lifecycle:
            preStop:
              # New connections still come until every node has learnt that this pod is leaving.
              sleep:
                seconds: 3
""",
    "",
)


def _slow_start(port: int) -> Patch:
    probe = f"readinessProbe: {{httpGet: {{path: /, port: {port}}}, periodSeconds: 1"
    return Patch(_SYSTEM, f"{probe}}}", f"{probe}, initialDelaySeconds: 3}}")


_ENV = "            - name: POD_NAME\n"


def _setting(file: str, name: str, value: str) -> Patch:
    return Patch(file, _ENV, f'            - name: {name}\n              value: "{value}"\n{_ENV}')


_STALE = (
    # Names are asked for while it runs, so that it starts without them: a new pod is Ready, and its cache is empty.
    Patch(
        _SYSTEM,
        "      upstream backends {\n",
        "      resolver kube-dns.kube-system.svc.cluster.local valid=1s ipv6=off;\n"
        "      upstream backends {\n        zone backends 64k;\n",
    ),
    Patch(_SYSTEM, ":80 max_fails=0", ":80 resolve max_fails=0"),
    Patch(
        _SYSTEM,
        "      access_log off;\n",
        "      access_log off;\n      proxy_cache_path /tmp/cache keys_zone=answers:1m max_size=4m;\n",
    ),
    Patch(
        _SYSTEM,
        "        location / { proxy_pass http://backends; }\n",
        "        location / { proxy_pass http://backends; proxy_cache answers; proxy_cache_valid 200 1s;"
        " proxy_cache_use_stale error timeout http_502 http_504; proxy_ignore_headers Cache-Control Expires; }\n",
    ),
)
_RECREATED_PRIMARY = Patch(
    _SYSTEM,
    "metadata: {namespace: standbys, name: primary, labels: {app: primary}}\nspec:\n  replicas: 1\n",
    "metadata: {namespace: standbys, name: primary, labels: {app: primary}}\nspec:\n  replicas: 1\n"
    "  strategy: {type: Recreate}\n",
)
_PRIMARY_PORT = "        server primary.standbys.svc.cluster.local:80 max_fails=0;\n"
_TWO_PRIMARIES = (
    Patch(
        _SYSTEM,
        "metadata: {namespace: standbys, name: primary, labels: {app: primary}}\nspec:\n  replicas: 1\n",
        "metadata: {namespace: standbys, name: primary, labels: {app: primary}}\nspec:\n  replicas: 2\n",
    ),
    Patch(_SYSTEM, _PRIMARY_PORT, _PRIMARY_PORT * 2),
    Patch(_SYSTEM, "proxy_read_timeout 500ms", "proxy_read_timeout 300ms"),
)


def _on_third_node(name: str) -> Patch:
    label = f"    metadata: {{labels: {{app: {name}}}}}\n    spec:\n"
    return Patch(_SYSTEM, label, f"{label}      nodeSelector: {{kubernetes.io/hostname: sandbox-3}}\n")


_TWO_NODES = Patch(
    _SYSTEM,
    "      terminationGracePeriodSeconds: 10\n",
    """\
      terminationGracePeriodSeconds: 10
      affinity:
        nodeAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            nodeSelectorTerms:
            - matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [sandbox-1, sandbox-2]}]
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - topologyKey: kubernetes.io/hostname
            labelSelector: {matchLabels: {app: front}}
""",
)

VARIANTS: tuple[Variant, ...] = (
    # One fault.
    Variant(
        "standbys-none",
        1,
        "the front has one backend",
        ("availability=0.9",),
        ("remove-service-*", "pod-delete-front"),
        _one("remove-service-primary"),
    ),
    Variant(
        "standbys-patient",
        2,
        "the front waits for its primary for longer than users do, and its standby is not asked",
        ("availability=0.9",),
        ("edge-silent-primary", "remove-service-standby", "pod-delete-front"),
        _one("edge-silent-primary"),
        (Patch(_SYSTEM, "proxy_read_timeout 500ms", "proxy_read_timeout 5s"),),
    ),
    Variant(
        "shop-one-logic",
        "shop",
        "the only pod of logic ends as soon as it is deleted, before another one has started",
        ("availability=0.95",),
        ("pod-delete-logic", "pod-delete-frontend", "redis-outage"),
        _one("pod-delete-logic"),
        (Patch(_LOGIC, _TWO_PODS, _ONE_POD), _AT_ONCE),
        _SHOP_EVENTS,
    ),
    Variant(
        "shop-api-recreated",
        "shop",
        "pods of api end before new ones start",
        ("outage_seconds=0.5",),
        ("rolling-restart-api", "pod-delete-api", "redis-outage"),
        _one("rolling-restart-api"),
        (_RECREATE,),
        "/",
    ),
    Variant(
        "shop-patient-cache",
        "shop",
        "logic waits for its cache for longer than the frontend waits for logic",
        ("availability=0.9",),
        ("silent-redis", "pod-delete-logic", "pod-delete-frontend"),
        _one("silent-redis"),
        (_setting(_LOGIC, "CACHE_TIMEOUT_SECONDS", "1.5"),),
        _SHOP_EVENTS,
    ),
    Variant(
        "shop-hasty-database",
        "shop",
        "logic gives its database 50 ms, and each answer comes later",
        ("availability=0.9",),
        ("slow-postgres", "pod-delete-logic", "pod-delete-frontend"),
        _one("slow-postgres"),
        (_setting(_LOGIC, "DATABASE_TIMEOUT_SECONDS", "0.05"),),
        _SHOP_EVENTS,
    ),
    Variant(
        "quotes-needs-redis",
        "quotes",
        "every answer needs the one Redis",
        ("availability=0.9",),
        ("outage-redis", "pod-delete-quotes", "edge-slow-redis"),
        _one("outage-redis"),
        path="/",
    ),
    Variant(
        "parcels-patient-counter",
        "parcels",
        "the counter waits for Redis for longer than users do",
        ("availability=0.9",),
        ("edge-silent-redis", "outage-postgres", "pod-delete-counter"),
        _one("edge-silent-redis"),
        (Patch(_COUNTER, "SECONDS_MAX = 0.3", "SECONDS_MAX = 3.0"),),
        "/",
    ),
    # Two faults.
    Variant(
        "standbys-one",
        2,
        "the standby stands in for the primary",
        ("availability=0.9",),
        ("remove-service-*", "pod-delete-front"),
        _one("remove-service-primary", "remove-service-standby"),
    ),
    Variant(
        "standbys-slow-standby",
        2,
        "the standby that stands in is too slow for the front",
        ("availability=0.9",),
        ("remove-service-primary", "edge-slow-standby", "pod-delete-front"),
        _one("remove-service-primary", "edge-slow-standby"),
    ),
    Variant(
        "standbys-cold-cache",
        1,
        "the front answers from its cache while the primary is away, and a new pod of it has none",
        ("availability=0.9",),
        ("remove-service-primary", "pod-delete-front", "rolling-restart-primary"),
        _one("remove-service-primary", "pod-delete-front"),
        _STALE,
    ),
    Variant(
        "standbys-recreated-primary",
        2,
        "the standby hides that the primary's pod ends before its successor starts",
        ("outage_seconds=0.5",),
        ("rolling-restart-primary", "remove-service-standby", "pod-delete-front"),
        _one("rolling-restart-primary", "remove-service-standby"),
        (_RECREATED_PRIMARY, _slow_start(80)),
    ),
    Variant(
        "standbys-two-nodes",
        2,
        "the front's pods run on one of two nodes each: with one drained, a deleted pod has no sibling",
        ("outage_seconds=1",),
        ("drain-node-of-front", "pod-delete-front", "remove-service-standby"),
        _one("drain-node-of-front", "pod-delete-front"),
        (_TWO_NODES, _slow_start(8081), _on_third_node("primary"), _on_third_node("standby")),
    ),
    Variant(
        "shop-cache-and-slow-logic",
        "shop",
        "the time limits of the cache and a delay on the way to logic are together more than the frontend waits",
        ("availability=0.9",),
        ("silent-redis", "edge-slow-logic", "pod-delete-frontend"),
        _one("edge-slow-logic", "silent-redis"),
        (
            _setting(_LOGIC, "CACHE_TIMEOUT_SECONDS", "0.5"),
            _setting(_FRONTEND, "ATTEMPT_SECONDS", "0.75"),
            _setting(_FRONTEND, "ANSWER_SECONDS", "0.8"),
        ),
        _SHOP_EVENTS,
    ),
    Variant(
        "standbys-retry-meets-slow-pod",
        2,
        "one of two pods of the primary is slow, and the second try meets it as often as the first",
        ("availability=0.95",),
        ("edge-slow-one-primary", "remove-service-standby", "pod-delete-front"),
        _one("edge-slow-one-primary", "remove-service-standby"),
        _TWO_PRIMARIES,
    ),
    Variant(
        "parcels-both-silent",
        "parcels",
        "the counter waits for Redis, then for PostgreSQL: users wait for both",
        ("availability=0.9",),
        ("edge-silent-redis", "edge-silent-postgres", "pod-delete-counter"),
        _one("edge-silent-redis", "edge-silent-postgres"),
        (Patch(_COUNTER, "SECONDS_MAX = 0.3", "SECONDS_MAX = 0.6"),),
        "/",
    ),
    # Three faults.
    Variant(
        "standbys-two",
        3,
        "two stand in for the primary",
        ("availability=0.9",),
        ("remove-service-*",),
        _one("remove-service-primary", "remove-service-standby", "remove-service-reserve"),
        size=3,
    ),
    Variant(
        "standbys-one-and-cache",
        2,
        "the standby stands in for the primary, and the cache for both until a pod is new",
        ("availability=0.9",),
        ("remove-service-*", "pod-delete-front"),
        _one("remove-service-primary", "remove-service-standby", "pod-delete-front"),
        _STALE,
        size=3,
    ),
    # Sound.
    Variant(
        "sound-standbys-two",
        3,
        "two of three backends may be away",
        ("availability=0.9",),
        ("remove-service-*", "pod-delete-front"),
    ),
    Variant(
        "sound-standbys-cache",
        1,
        "the front answers from its cache",
        ("availability=0.9",),
        ("remove-service-primary", "rolling-restart-primary", "edge-slow-primary"),
        patches=_STALE,
    ),
    Variant(
        "sound-standbys-restarts",
        2,
        "the standby hides restarts of the primary, and the front has a sibling for each pod",
        ("availability=0.9",),
        ("rolling-restart-primary", "pod-delete-front", "rolling-restart-front"),
        patches=(_RECREATED_PRIMARY,),
    ),
    Variant(
        "sound-shop-root",
        "shop",
        "the root asks neither Redis nor PostgreSQL",
        ("availability=0.9",),
        ("redis-outage", "silent-redis", "postgres-outage", "pod-delete-api"),
        path="/",
    ),
    Variant(
        "sound-shop-pods",
        "shop",
        "every part but the stores has a pod to spare, and the cache may be away",
        ("availability=0.9",),
        ("pod-delete-*", "redis-outage", "rolling-restart-logic"),
        path=_SHOP_EVENTS,
    ),
    Variant(
        "sound-parcels",
        "parcels",
        "the counter leaves out what it cannot ask",
        ("availability=0.9",),
        ("outage-redis", "outage-postgres", "pod-delete-counter"),
        path="/",
    ),
)
