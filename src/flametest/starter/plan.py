"""What tests a system: its experiments in their order, those of the short suite, and what was not written. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flametest.starter.documents import Experiment
from flametest.starter.errors import StarterError
from flametest.starter.evidence import Certainty
from flametest.starter.experiments import Basis, control, experiment_for, removal, silence
from flametest.starter.paths import telling_paths
from flametest.starter.suitability import Suitability, Suited, named, reasons_told, suitability
from flametest.starter.system import Service, Workload
from flametest.starter.topology import Topology

__all__ = ["Plan", "make_plan"]

# Which kinds the short suite holds, and how many of each at most.
_CORE = {Suited.DELETION: 3, Suited.RESTART: 1, Suited.OUTAGE: 2}
# A proxy is called flametest-fault-proxy- and its Service's name, and names have 63 characters at most.
_PROXIED_NAME_LENGTH_MAX = 41


@dataclass(frozen=True, slots=True)
class Plan:
    """What tests a system.

    Attributes:
        topology: the system.
        url: where its users enter.
        paths: what they ask for, the most telling first.
        experiments: in the order in which they are run.
        core: the names of those of the short suite.
        left_out: what was not written, and why, a sentence each.
    """

    topology: Topology
    url: str
    paths: tuple[str, ...]
    experiments: tuple[Experiment, ...]
    core: tuple[str, ...]
    left_out: tuple[str, ...]


def make_plan(topology: Topology, url: str, paths: tuple[str, ...]) -> Plan:
    """Return what tests a system.

    Args:
        topology: the system.
        url: where its users enter.
        paths: what they can ask for, the most telling first; at least one.

    Raises:
        StarterError: it has no Deployment and no StatefulSet with a pod, so that nothing could be measured; or a path
            is none.
    """
    if wrong := [path for path in paths if not path.startswith("/")]:
        raise StarterError(
            f"path {wrong[0]!r} does not begin with a slash", "write it as users ask for it, such as /shop"
        )
    measured = _measured(topology)
    basis = _basis(topology, url, paths, measured)
    suited = [suitability(topology, one) for one in topology.system.workloads]
    by_kind = {kind: [experiment_for(basis, kind, one) for one in _ordered(topology, suited, kind)] for kind in Suited}
    removals = [removal(basis, service, hit) for service, hit in _removed(topology, measured)]
    silences = [silence(basis, service, hit) for service, hit in _asked(topology, measured) if not _bars_proxy(service)]
    core = [one.name for kind, count in _CORE.items() for one in by_kind[kind][:count]]
    first = control(basis)
    servers = (Suited.DELETION, Suited.RESTART, Suited.SCALING)
    return Plan(
        topology=topology,
        url=url,
        paths=paths,
        experiments=(
            first,
            *(one for kind in servers for one in by_kind[kind]),
            *removals,
            *(one for kind in Suited if kind not in servers for one in by_kind[kind]),
            *silences,
        ),
        core=tuple(core or [first.name]),
        left_out=(*reasons_told(suited), *_balancers(topology), *_barred(topology, measured), *_unfelt(basis, suited)),
    )


def _measured(topology: Topology) -> list[Workload]:
    """Return the workloads whose recovery the recorder measures; of a DaemonSet the nodes decide.

    Raises:
        StarterError: there is none.
    """
    found = [one for one in topology.system.workloads if one.kind != "DaemonSet" and one.replicas > 0]
    if not found:
        raise StarterError(
            f"namespace {topology.system.namespace!r} holds no Deployment and no StatefulSet that is to have pods",
            "scale one up first",
        )
    return found


def _basis(topology: Topology, url: str, paths: tuple[str, ...], measured: list[Workload]) -> Basis:
    front = next((one for one in topology.entry_workloads if one in measured), measured[0])
    names = Counter(one.name for one in topology.system.workloads)
    ambiguous = frozenset(name for name, count in names.items() if count > 1)
    return Basis(topology, url, paths, front, telling_paths(topology, paths), ambiguous)


def _ordered(topology: Topology, suited: Iterable[Suitability], kind: Suited) -> list[Workload]:
    """Return the workloads that a kind suits: what users ask first, then what others are seen to ask."""
    return sorted(
        (one.workload for one in suited if kind in one.kinds),
        key=lambda one: (one not in topology.entry_workloads, not _is_asked(topology, one)),
    )


def _is_asked(topology: Topology, workload: Workload) -> bool:
    return any(map(topology.users_of, topology.services_of(workload)))


def _removed(topology: Topology, measured: list[Workload]) -> Iterator[tuple[Service, Workload]]:
    """Yield the entry, and each Service of a Deployment that another part names, with a workload behind it."""
    for service in sorted(topology.system.services, key=lambda one: one != topology.entry):
        hit = next((one for one in topology.behind[service.name] if one in measured), None)
        if hit is None or service.kind == "LoadBalancer" or service.is_headless:
            continue
        is_asked = hit.kind == "Deployment" and not topology.role_of(hit).keeps_data and topology.users_of(service.name)
        if service == topology.entry or is_asked:
            yield service, hit


def _asked(topology: Topology, measured: list[Workload]) -> Iterator[tuple[Service, Workload]]:
    """Yield each Service but the entry that another part is seen to ask, with a workload behind it."""
    for service in topology.system.services:
        users = [one for one in topology.users_of(service.name) if one.certainty is not Certainty.GUESSED]
        hit = next((one for one in topology.behind[service.name] if one in measured), None)
        if users and hit is not None and service != topology.entry:
            yield service, hit


def _bars_proxy(service: Service) -> str:
    """Return why no proxy can stand before a Service; empty when one can."""
    if service.is_headless:
        return "it is headless"
    if any(port.protocol != "TCP" for port in service.ports):
        return "not all of its ports are TCP"
    if len(service.name) > _PROXIED_NAME_LENGTH_MAX:
        return f"its name is longer than {_PROXIED_NAME_LENGTH_MAX} characters"
    return "" if service.ports else "it names no port"


def _barred(topology: Topology, measured: list[Workload]) -> Iterator[str]:
    for service, _ in _asked(topology, measured):
        if reason := _bars_proxy(service):
            yield f"no silence of {service}: {reason}, so no proxy can be put in front of it"


def _balancers(topology: Topology) -> Iterator[str]:
    for service in topology.system.services:
        if service.kind == "LoadBalancer" and topology.behind[service.name]:
            yield f"no removal of {service}: the cluster would release its load balancer's address"


def _unfelt(basis: Basis, suited: Iterable[Suitability]) -> Iterator[str]:
    """Yield which faults users may not feel, since nothing tells by which path they need what is hit."""
    unseen = [one.workload for one in suited if one.kinds and str(one.workload) not in basis.telling]
    if unseen and basis.topology.entry is not None:
        yield (
            f"no path is seen to need {named(map(str, unseen))}: experiments ask for {basis.paths[0]}, so that a fault "
            "there may not be felt; name a better one as path of their recorder"
        )
