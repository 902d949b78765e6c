"""What each workload is to its system: a role, by what it mounts, runs and serves, and only then by its kind. Pure.

A role decides which experiments are safe: what keeps data is never given a second pod beside the first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from flametest.starter.evidence import Certainty, Evidence
from flametest.starter.system import Service, System, Workload
from flametest.starter.wellknown import Purpose, purpose_of_image, purpose_of_name, purpose_of_port

__all__ = ["Role", "RoleName", "known_purpose", "looks_like_store", "make_roles"]

_STANDING = Purpose.STORE, Purpose.CACHE, Purpose.BROKER


class RoleName(StrEnum):
    """What a workload is to its system.

    ENTRY answers users, SERVICE other parts; WORKER is asked by nobody; STORE keeps what must not be lost, CACHE what
    can be made again, BROKER messages on their way; GENERATOR plays the user; OBSERVER looks on.
    """

    ENTRY = "entry"
    SERVICE = "service"
    WORKER = "worker"
    STORE = "store"
    CACHE = "cache"
    BROKER = "broker"
    GENERATOR = "generator"
    OBSERVER = "observer"


@dataclass(frozen=True, slots=True)
class Role:
    """The role of one workload.

    Attributes:
        name: which one.
        reason: why it is that one, in words, such as ``runs postgres:16``.
        evidence: where the reason stands.
        certainty: how certain it is.
        keeps_data: whether its pods keep something of their own, on disk or in memory, so that one pod more is not
            just one more of the same: two servers on the same files, or half of a cache. It is never scaled. True of
            every store, cache and broker, and of an entry that mounts a claim.
    """

    name: RoleName
    reason: str
    evidence: Evidence
    certainty: Certainty
    keeps_data: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.reason}{'; a guess' if self.certainty is Certainty.GUESSED else ''})"


@dataclass(frozen=True, slots=True)
class _Reason:
    """A reason of a role, before it is said of whom."""

    text: str
    field: str
    certainty: Certainty


def make_roles(system: System, behind: Mapping[str, tuple[Workload, ...]], entry: Service | None) -> dict[str, Role]:
    """Return the role of each workload, by its kind and name such as ``Deployment web``.

    Args:
        system: the parts.
        behind: the workloads that serve for each Service, by its name.
        entry: the Service where users enter; None without one.
    """
    services = {one.name: one for one in system.services}
    serving: dict[str, list[Service]] = {}
    for name, workloads in behind.items():
        for one in workloads:
            serving.setdefault(str(one), []).append(services[name])
    return {str(one): _role(system, one, serving.get(str(one), []), entry) for one in system.workloads}


def known_purpose(workload: Workload) -> tuple[Purpose, _Reason] | None:
    """Return what a workload's program is for where its image or its port tells, and by what."""
    for container in workload.containers[:1]:
        if purpose := purpose_of_image(container.image):
            field = f"container {container.name}, image"
            return purpose, _Reason(f"runs {container.image}", field, Certainty.INFERRED)
    for container in workload.containers:
        for port in container.ports:
            if purpose := purpose_of_port(port.number):
                field = f"container {container.name}, port {port.number}"
                text = f"listens on {port.number}, by convention the port of a {purpose}"
                return purpose, _Reason(text, field, Certainty.INFERRED)
    return None


def looks_like_store(system: System, workload: Workload) -> bool:
    """Return whether a workload keeps something by what it mounts, its kind or its name, whatever it runs."""
    is_named_so = purpose_of_name(workload.name) in _STANDING
    return is_named_so or workload.kind == "StatefulSet" or next(_written(system, workload), None) is not None


def _role(system: System, one: Workload, services: list[Service], entry: Service | None) -> Role:
    """Return a workload's role; ``services`` lead to it, and users enter at ``entry``."""
    written = next(_written(system, one), None)
    known = known_purpose(one) or next(filter(None, map(_served_purpose, services)), None)
    if known:
        name, reason = RoleName(known[0].value), known[1]
        if name is RoleName.CACHE and written:
            name, reason = (
                RoleName.STORE,
                _Reason(f"{reason.text}, and {written.text}", written.field, written.certainty),
            )
        return _made(system, one, name, reason, keeps=known[0] in _STANDING or written is not None)
    if entry in services:
        reason = _Reason(f"users enter through {entry}", f"labels, which {entry} selects", Certainty.INFERRED)
        return _made(system, one, RoleName.ENTRY, reason, keeps=written is not None or one.kind == "StatefulSet")
    if written:
        return _made(system, one, RoleName.STORE, written, keeps=True)
    if purpose := purpose_of_name(one.name):
        reason = _Reason(f"its name is that of a {purpose}", "metadata.name", Certainty.GUESSED)
        return _made(system, one, RoleName(purpose.value), reason, keeps=purpose in _STANDING)
    if one.kind == "StatefulSet":
        reason = _Reason("a StatefulSet gives each pod a stable name, as stores need it", "kind", Certainty.GUESSED)
        return _made(system, one, RoleName.STORE, reason, keeps=True)
    return _plain(system, one, services)


def _served_purpose(service: Service) -> tuple[Purpose, _Reason] | None:
    """Return what a Service's pods are for where it leads to nothing but ports of well-known programs."""
    purposes = [purpose_of_port(int(port.target) if port.target.isdigit() else port.number) for port in service.ports]
    if not purposes or None in purposes or purposes[0] is None:
        return None
    field = f"labels, which {service} selects"
    return purposes[0], _Reason(
        f"{service} leads to what is by convention the port of a {purposes[0]}", field, Certainty.INFERRED
    )


def _plain(system: System, one: Workload, services: list[Service]) -> Role:
    """Return the role of a workload that neither keeps data nor is known for anything."""
    if services:
        field = f"labels, which {services[0]} selects"
        reason = _Reason(f"{services[0]} leads to it", field, Certainty.SEEN)
        return _made(system, one, RoleName.SERVICE, reason)
    ports = [port.number for container in one.containers for port in container.ports]
    if ports and not system.services:
        reason = _Reason(f"listens on {ports[0]}, though no Service leads to it", "ports", Certainty.GUESSED)
        return _made(system, one, RoleName.SERVICE, reason)
    return _made(system, one, RoleName.WORKER, _Reason("no Service leads to it", "labels", Certainty.SEEN))


def _made(system: System, one: Workload, name: RoleName, reason: _Reason, *, keeps: bool = False) -> Role:
    evidence = Evidence(str(one), reason.field, system.place(one.kind, one.name))
    return Role(name, reason.text, evidence, reason.certainty, keeps)


def _written(system: System, one: Workload) -> Iterator[_Reason]:
    """Yield the volumes that a workload writes, and that only it has."""
    for name in one.claims:
        claim = system.claims.get(name)
        if claim is None:
            yield _Reason(f"mounts claim {name}, which is not among the objects", "volumes", Certainty.GUESSED)
        elif claim.is_single:
            yield _Reason(f"writes to claim {name}, which is {' '.join(claim.modes)}", "volumes", Certainty.SEEN)
    for name in one.own_claims:
        yield _Reason(f"each of its pods has a claim {name} of its own", "volumeClaimTemplates", Certainty.SEEN)
    for path in one.host_paths if one.kind != "DaemonSet" else ():
        yield _Reason(f"writes to folder {path} of its node", "volumes", Certainty.INFERRED)
