"""Who needs whom: the Services that a workload's texts name as hosts, and the hosts that are not there. Pure.

Each text is looked through once, however many workloads are given it; what it names is then looked up by name, so that
time grows with the texts and the names, and not with their product.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flametest.starter.evidence import Certainty, Evidence
from flametest.starter.hostkeys import is_certain_host_key
from flametest.starter.hosts import Mention, Place, hosts_in_command, hosts_in_file, hosts_in_value
from flametest.starter.system import Reference, Service, Setting, System, Workload

__all__ = ["AbsentHost", "Dependency", "Needs", "find_needs", "service_of_host"]

_PORT_MIN = 80  # below it, a number behind a colon is more likely that of a version or an hour
_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
_SERVICE_VARIABLE = re.compile(r"\$[({]?([A-Z][A-Z0-9_]*)_SERVICE_HOST\b")
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?$")
_ALWAYS_THERE = frozenset({"localhost", "kubernetes", "host", "none", "null", "true", "false", "auto", "default"})
_SIMILAR = 0.8


@dataclass(frozen=True, slots=True)
class Dependency:
    """A workload that names a Service as a host, and where it does; ``port`` is 0 where it names none."""

    workload: Workload
    service: str
    evidence: Evidence
    certainty: Certainty
    port: int = 0


@dataclass(frozen=True, slots=True)
class AbsentHost:
    """A host that a workload names and that no Service has; ``similar`` is a Service that may be meant, or empty."""

    workload: Workload
    host: str
    evidence: Evidence
    similar: str


@dataclass(frozen=True, slots=True)
class Needs:
    """What workloads name as hosts.

    Attributes:
        services: Services of this namespace, by kind and name of the workload that names them, each once.
        absent: hosts that ought to be Services of this namespace, and are not, likewise.
        outside: hosts elsewhere, likewise.
    """

    services: Mapping[str, tuple[Dependency, ...]]
    absent: Mapping[str, tuple[AbsentHost, ...]]
    outside: Mapping[str, tuple[str, ...]]

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """Return all workloads' needs of Services."""
        return tuple(one for found in self.services.values() for one in found)

    def of(self, workload: Workload) -> tuple[Dependency, ...]:
        """Return the Services that a workload names."""
        return self.services.get(str(workload), ())


@dataclass(frozen=True, slots=True)
class _Named:
    """A host that a text names, and where the text stands; ``is_firm`` says that it is one beyond doubt."""

    mention: Mention
    field: str
    is_firm: bool


def find_needs(system: System, behind: Mapping[str, tuple[Workload, ...]]) -> Needs:
    """Return what the workloads of a system name as hosts.

    Args:
        system: the parts.
        behind: the workloads that serve for each Service, by its name.
    """
    look_up = _LookUp(system, behind)
    texts = _Texts(system, look_up)
    found = [_needs(system, look_up, texts, one) for one in (*system.workloads, *system.others)]
    return Needs(
        {workload: needs for one in found for workload, needs in one.services.items()},
        {workload: hosts for one in found for workload, hosts in one.absent.items() if hosts},
        {workload: hosts for one in found for workload, hosts in one.outside.items() if hosts},
    )


def service_of_host(host: str, names: Iterable[str], namespace: str) -> str:
    """Return the Service of a namespace that a host means; empty where it is another host.

    A host is a Service's name, alone or with its namespace and more behind it, or a pod's name before it.
    """
    first, *rest = host.split(".")
    if first in names and (not rest or _is_namespace(rest, namespace)):
        return first
    if (
        rest
        and rest[0] in names
        and re.search(r"-\d+$", first)
        and (len(rest) == 1 or _is_namespace(rest[1:], namespace))
    ):
        return rest[0]
    return ""


def _is_namespace(labels: list[str], namespace: str) -> bool:
    """Return whether labels behind a name stand for a namespace of the cluster: alone, or with svc and more behind."""
    return labels[0] == namespace and (len(labels) == 1 or labels[1] == "svc")


class _LookUp:
    """The Services of a system, by what a host and a port mean."""

    def __init__(self, system: System, behind: Mapping[str, tuple[Workload, ...]]) -> None:
        self._namespace = system.namespace
        self._behind = {name: frozenset(map(str, workloads)) for name, workloads in behind.items()}
        self.services = {one.name: one for one in system.services}
        self._variables = {one.name.upper().replace("-", "_"): one.name for one in system.services}

    def service(self, mention: Mention) -> Service | None:
        """Return the Service that a mention means, unless its port shows that it means something else."""
        service = self.services.get(service_of_host(mention.host, self.services, self._namespace))
        if service is None or not mention.port or mention.place not in (Place.PORT, Place.LOOSE):
            return service
        if mention.port in {port.number for port in service.ports}:
            return service
        # Behind a headless Service pods are asked at their own ports.
        is_open = service.is_headless or not service.ports or service.kind == "ExternalName"
        return service if mention.place is Place.PORT and is_open and mention.port >= _PORT_MIN else None

    def is_own(self, service: Service, workload: Workload) -> bool:
        """Return whether a workload serves for a Service itself."""
        return str(workload) in self._behind[service.name]

    def by_variables(self, text: str) -> Iterator[Mention]:
        """Yield the Services whose addresses a text takes from the variables that Kubernetes sets for each."""
        if "_SERVICE_HOST" in text:
            for name in _SERVICE_VARIABLE.findall(text):
                if name in self._variables:
                    yield Mention(self._variables[name], 0, Place.ADDRESS)


class _Texts:
    """The hosts of texts that several workloads are given: each is looked through once."""

    def __init__(self, system: System, look_up: _LookUp) -> None:
        self._system = system
        self._look_up = look_up
        self._found: dict[tuple[str, str, str, str], tuple[Mention, ...]] = {}

    def of(self, reference: Reference, key: str, variable: str) -> tuple[Mention, ...]:
        """Return the hosts that one key of a ConfigMap or a Secret names, as a file or as a variable's value."""
        known = (reference.kind, reference.name, key, variable)
        if known not in self._found:
            text = self.keys(reference).get(key, "")
            # Of a file, which may be long, only what is a Service says something.
            hosts = (
                hosts_in_value(variable, text) if variable else filter(self._look_up.service, hosts_in_file(key, text))
            )
            self._found[known] = tuple(dict.fromkeys(hosts))
        return self._found[known]

    def keys(self, reference: Reference) -> Mapping[str, str]:
        """Return the texts of what a reference names; none where it is not to be seen."""
        if reference.kind == "ConfigMap":
            return self._system.config_maps.get(reference.name, {})
        return (self._system.secrets or {}).get(reference.name, {}) if reference.kind == "Secret" else {}


def _needs(system: System, look_up: _LookUp, texts: _Texts, workload: Workload) -> Needs:
    dependencies: dict[str, Dependency] = {}
    absent: dict[str, AbsentHost] = {}
    outside: dict[str, None] = {}
    place = system.place(workload.kind, workload.name)
    for named in _named(texts, look_up, workload):
        evidence = Evidence(str(workload), named.field, place)
        if service := look_up.service(named.mention):
            if service.name not in dependencies and not look_up.is_own(service, workload):
                port = named.mention.port
                dependencies[service.name] = Dependency(workload, service.name, evidence, _certainty(named), port)
        elif named.is_firm and _is_absent(system, workload, named.mention.host):
            host = named.mention.host
            absent.setdefault(host, AbsentHost(workload, host, evidence, _similar(host, look_up.services)))
        elif named.is_firm and "." in named.mention.host:
            outside[named.mention.host] = None
    name = str(workload)
    return Needs({name: tuple(dependencies.values())}, {name: tuple(absent.values())}, {name: tuple(outside)})


def _certainty(named: _Named) -> Certainty:
    if named.field.startswith("annotation") or named.mention.place is Place.LOOSE:
        return Certainty.INFERRED
    return Certainty.SEEN


def _named(texts: _Texts, look_up: _LookUp, workload: Workload) -> Iterator[_Named]:
    """Yield all hosts that a workload's texts name."""
    values = dict(_variables(texts, workload))
    for setting in workload.settings:
        text = _VARIABLE.sub(lambda found: values.get(found[1], found[0]), setting.text)
        for mention in (*_of_setting(setting, text), *look_up.by_variables(text)):
            yield _Named(mention, setting.field, _is_firm(setting, mention))
    for reference in workload.references:
        for key in reference.keys or texts.keys(reference):
            variable = "" if reference.is_files else reference.variable or reference.prefix + key
            field = f"{reference.field}: {reference.kind} {reference.name}, key {key}"
            for mention in texts.of(reference, key, variable):
                # What a Secret holds is not told, so nothing is said about hosts that are not there.
                firm = bool(variable) and reference.kind == "ConfigMap" and _is_firm_value(variable, mention)
                yield _Named(mention, field, firm)


def _variables(texts: _Texts, workload: Workload) -> Iterator[tuple[str, str]]:
    """Yield the environment variables that others are made of, as far as they are to be seen."""
    for reference in workload.references:
        if not reference.is_files:
            for key, text in texts.keys(reference).items():
                if not reference.keys or key in reference.keys:
                    yield reference.variable or reference.prefix + key, text
    for setting in workload.settings:
        if setting.key:
            yield setting.key, setting.text


def _of_setting(setting: Setting, text: str) -> Iterator[Mention]:
    if setting.is_command:
        yield from hosts_in_command(text)
    else:
        yield from hosts_in_value(setting.key, text)


def _is_firm(setting: Setting, mention: Mention) -> bool:
    if setting.field.startswith("annotation"):
        return False
    if setting.is_command:
        waits = mention.place is Place.WAITED and setting.field.startswith("init container")
        return waits or mention.place in (Place.ADDRESS, Place.SETTING)
    return _is_firm_value(setting.key, mention)


def _is_firm_value(key: str, mention: Mention) -> bool:
    """Return whether the value of a key names a host beyond doubt; a server's own HOST may be anything."""
    if mention.place is Place.ADDRESS:
        return True
    is_own = key.upper() in ("HOST", "HOSTNAME", "ADDRESS", "SERVER", "ADDR")
    return mention.place is Place.SETTING and is_certain_host_key(key) and not is_own


def _is_absent(system: System, workload: Workload, host: str) -> bool:
    """Return whether a host can be nothing but a Service of a namespace that is to be seen, and is none."""
    first, *rest = host.split(".")
    if host in workload.aliases or first in _ALWAYS_THERE or not _NAME.match(first):
        return False
    if any(first.startswith(name) for name in system.made):
        return False
    if not rest:
        return True
    if _is_namespace(rest, system.namespace):
        return True
    known = system.neighbours.get(rest[0])
    return known is not None and first not in known and (len(rest) == 1 or rest[1] == "svc")


def _similar(host: str, services: Iterable[str]) -> str:
    """Return the Service that may be meant by a host: one name is a part of the other, or almost the same."""
    stem = _stem(host.partition(".")[0])
    stems = {_stem(name): name for name in reversed(list(services))}
    parts = [name for one, name in stems.items() if one in stem.split("-") or stem in one.split("-")]
    close = difflib.get_close_matches(stem, list(stems), n=1, cutoff=_SIMILAR)
    return next(iter(parts), "") or next((stems[one] for one in close), "")


def _stem(name: str) -> str:
    """Return a name without what only says that it is one of a Service."""
    return name.removesuffix("-service").removesuffix("-svc").removesuffix("-server") or name
