"""Where users enter: the Service that they ask, how certain that is, and which ones it may be instead. Pure.

Never one that speaks UDP only, that has no address of its own or no pods, or whose pods are a well-known store, broker,
load generator or observer; a console of a store only where nothing else is left. Of the others first what an Ingress or
an HTTPRoute sends ``/`` to, then what it sends anything to, then what is open to the outside; among equals what no part
names but load generators and observers, who are no users; then names and ports that people use, which is a guess.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flametest.starter.errors import StarterError
from flametest.starter.evidence import Certainty, Evidence
from flametest.starter.needs import Dependency
from flametest.starter.roles import known_purpose, looks_like_store
from flametest.starter.system import Service, System, Workload
from flametest.starter.wellknown import Purpose, is_console_image, purpose_of_name, purpose_of_port

__all__ = ["Entry", "find_entry", "is_root"]

_OPEN_KINDS = ("LoadBalancer", "NodePort")
_ROOTS = ("", "/", "/*", "/(.*)", "/?(.*)", "/()(.*)", "/.*")
_NAMES = (
    "frontend front page web www webapp website ui gateway ingress edge proxy nginx entry portal storefront shop store "
    "app site client dashboard home public"
)
_NAME_RANKS = {name: rank for rank, name in enumerate(_NAMES.split())}
_PARTS = ("front", "web", "page", "portal")  # of words such as webapp and productpage
_PORTS = (80, 443, 8080, 3000, 8000, 8443, 5000)
_HTTP = ("http", "https", "web", "http-web")


@dataclass(frozen=True, slots=True)
class Entry:
    """Where users enter.

    Attributes:
        service: the Service; None where none can be it.
        reason: why it is that one, or why it is none.
        certainty: how certain that is.
        evidence: where the reason stands.
        alternatives: names of those that it may be instead, the likeliest first.
    """

    service: Service | None
    reason: str
    certainty: Certainty
    evidence: Evidence
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A Service that may be the entry, and what speaks for it.

    ``is_unlikely`` says that it is a console of a store, or that it keeps something and nothing leads users to it.
    ``is_tried`` says that a load generator asks it. ``is_telling`` says that more speaks for it than that no part names
    it: a load generator asks it, it needs others itself, or its name is one that people use.
    """

    service: Service
    route: str
    is_routed_at_root: bool
    is_open: bool
    is_needed: bool
    is_unlikely: bool
    is_tried: bool
    is_telling: bool
    name_rank: int
    port_rank: int

    @property
    def rank(self) -> tuple[object, ...]:
        """Return what it is compared by; the least is the likeliest."""
        return (*self.certain_rank, self.name_rank, self.port_rank, self.service.name)

    @property
    def certain_rank(self) -> tuple[bool, ...]:
        """Return the part of the rank that rests on what is written down rather than on customs."""
        return (
            self.is_unlikely,
            not self.is_routed_at_root,
            not self.route,
            not self.is_open,
            self.is_needed,
            not self.is_tried,
        )


def find_entry(
    system: System, behind: Mapping[str, tuple[Workload, ...]], dependencies: Iterable[Dependency], named: str = ""
) -> Entry:
    """Return where users enter.

    Args:
        system: the parts.
        behind: the workloads that serve for each Service, of any kind.
        dependencies: which workload names which Service.
        named: the Service that the user has named; empty to have it found.

    Raises:
        StarterError: no Service has that name.
    """
    if named:
        return _named(system, named)
    asked = _Asked(dependencies)
    candidates = sorted(
        (
            _candidate(system, one, behind[one.name], asked)
            for one in system.services
            if _can_be(system, one, behind[one.name])
        ),
        key=lambda one: one.rank,
    )
    if not candidates:
        told = "no Service that users could ask has pods" if system.services else "there is no Service"
        return Entry(None, told, Certainty.SEEN, Evidence(f"namespace {system.namespace}"))
    return _chosen(system, candidates)


def is_root(path: str) -> bool:
    """Return whether a rule with this path is for every path."""
    return path in _ROOTS


def _named(system: System, name: str) -> Entry:
    for service in system.services:
        if service.name == name:
            return Entry(service, "named by --entry", Certainty.SEEN, Evidence("--entry"))
    there = ", ".join(one.name for one in system.services) or "there is none"
    raise StarterError(f"namespace {system.namespace!r} has no Service {name!r}", f"use one of: {there}")


def _can_be(system: System, service: Service, workloads: tuple[Workload, ...]) -> bool:
    if service.kind == "ExternalName" or service.is_headless:
        return False
    if service.ports and all(port.protocol != "TCP" for port in service.ports):
        return False
    if not workloads:
        return any(map(service.selector.matches, system.other_pods)) and not _is_known_port(service)
    # One that stands before several programs is a user's as soon as one of them is.
    return any(known_purpose(one) is None for one in workloads) and not _is_known_port(service)


def _is_known_port(service: Service) -> bool:
    """Return whether all that a Service leads to are ports of stores and brokers."""
    targets = [int(one.target) if one.target.isdigit() else one.number for one in service.ports]
    return bool(targets) and all(purpose_of_port(one) is not None for one in targets)


class _Asked:
    """Which Services are asked by parts, which by load generators, and which parts ask any."""

    def __init__(self, dependencies: Iterable[Dependency]) -> None:
        self.by_parts: set[str] = set()
        self.by_generators: set[str] = set()
        self.asking: set[str] = set()
        for one in dependencies:
            known = known_purpose(one.workload)
            purpose = known[0] if known else purpose_of_name(one.workload.name)
            self.asking.add(str(one.workload))
            if purpose is Purpose.GENERATOR:
                self.by_generators.add(one.service)
            elif purpose is not Purpose.OBSERVER:
                self.by_parts.add(one.service)


def _candidate(system: System, service: Service, workloads: tuple[Workload, ...], asked: _Asked) -> _Candidate:
    routes = [one for one in system.routes if one.service == service.name]
    rooted = [one for one in routes if is_root(one.path)]
    best = min((*rooted, *routes), key=lambda one: len(one.path)) if routes else None
    name_rank = _name_rank(service.name)
    asks, is_tried = any(str(one) in asked.asking for one in workloads), service.name in asked.by_generators
    images = [one.containers[0].image for one in workloads if one.containers]
    is_console = bool(images) and all(map(is_console_image, images))
    is_led_to = bool(routes) or service.kind in _OPEN_KINDS
    keeps = all(looks_like_store(system, one) for one in workloads)
    return _Candidate(
        service=service,
        route=(rooted[0] if rooted else best).part if best else "",
        is_routed_at_root=bool(rooted),
        is_open=service.kind in _OPEN_KINDS,
        is_needed=service.name in asked.by_parts,
        is_unlikely=is_console or (not is_led_to and bool(workloads) and keeps),
        is_tried=is_tried,
        is_telling=asks or is_tried or name_rank < len(_NAME_RANKS),
        name_rank=name_rank,
        port_rank=_port_rank(service),
    )


def _name_rank(name: str) -> int:
    """Return how likely a name is that of an entry, 0 for the likeliest; those of stores come last."""
    words = name.lower().split("-")
    ranks = [_NAME_RANKS[word] for word in words if word in _NAME_RANKS]
    ranks += [_NAME_RANKS[part] for part in _PARTS if any(part in word for word in words)]
    return min(ranks, default=len(_NAME_RANKS) + (purpose_of_name(name) is not None))


def _port_rank(service: Service) -> int:
    numbers = [_PORTS.index(port.number) for port in service.ports if port.number in _PORTS]
    named = [0 for port in service.ports if port.name in _HTTP]
    return min((*numbers, *named), default=len(_PORTS))


def _chosen(system: System, candidates: list[_Candidate]) -> Entry:
    first, rest = candidates[0], candidates[1:]
    rivals = [one for one in rest if one.certain_rank == first.certain_rank]
    reason, part, certainty = _reason(first)
    if first.is_unlikely and not first.is_open:
        certainty = Certainty.GUESSED
    if first.is_needed and not first.is_routed_at_root and any(not one.is_needed for one in rest):
        certainty = Certainty.GUESSED
        reason = f"{reason}, though another part names it"
    if rivals:
        certainty = Certainty.GUESSED
        others = "another one that is" if len(rivals) == 1 else f"{len(rivals)} others that are"
        reason = f"{reason}; chosen by name and port over {others} as likely"
    return Entry(
        first.service,
        reason,
        certainty,
        Evidence(part, place=system.place(*part.split(" ", 1))),
        tuple(one.service.name for one in (rivals or rest)),
    )


def _reason(one: _Candidate) -> tuple[str, str, Certainty]:
    """Return why a candidate comes first, the object that tells so, and how certain that is."""
    service = str(one.service)
    if one.is_routed_at_root:
        return f"{one.route} sends / to it", one.route, Certainty.SEEN
    if one.route:
        return f"{one.route} leads to it", one.route, Certainty.INFERRED
    if one.is_open:
        return f"its type is {one.service.kind}", service, Certainty.INFERRED
    if one.is_needed:
        return "it has pods, and nothing points to a better one", service, Certainty.GUESSED
    if one.is_tried:
        return "a load generator asks it, and no other part", service, Certainty.INFERRED
    return "no other part names it", service, Certainty.INFERRED if one.is_telling else Certainty.GUESSED
