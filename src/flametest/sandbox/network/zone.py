"""The names of the cluster: pure, from Services and EndpointSlices to what each name resolves to.

Names and answers are those of the specification "Kubernetes DNS-Based Service Discovery" 1.1.0, and where it leaves
room, of CoreDNS' plugin `kubernetes` with ``pods insecure``. Names are kept in lower case, without the last dot.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from flametest.sandbox.network.rules import slices_by_service
from flametest.sandbox.objects import Object
from flametest.sandbox.settings import CLUSTER_DOMAIN

__all__ = ["Entry", "Zone", "build_zone"]

T = TypeVar("T")

_REVERSE_DOMAINS = ("in-addr.arpa", "ip6.arpa")
_POD_NAME = re.compile(r"(\d{1,3}(?:-\d{1,3}){3})\.([a-z0-9-]+)\.pod\." + re.escape(CLUSTER_DOMAIN))


@dataclass(slots=True)
class Entry:
    """What one name resolves to; all empty for a name that exists only because there are names below it.

    Attributes:
        addresses: its A records.
        services: its SRV records, as (port, target).
        pointers: its PTR records.
        alias: its CNAME record; empty for none.
    """

    addresses: list[str] = field(default_factory=list)
    services: list[tuple[int, str]] = field(default_factory=list)
    pointers: list[str] = field(default_factory=list)
    alias: str = ""


class Zone:
    """All names of the cluster at one moment."""

    def __init__(self, namespaces: Iterable[str]) -> None:
        self._entries: dict[str, Entry] = {}
        self._namespaces = frozenset(namespaces)
        self.add(f"svc.{CLUSTER_DOMAIN}")
        self.add(f"pod.{CLUSTER_DOMAIN}")
        for domain in _REVERSE_DOMAINS:
            self.add(domain)
        for namespace in self._namespaces:
            self.add(f"{namespace}.svc.{CLUSTER_DOMAIN}")
            self.add(f"{namespace}.pod.{CLUSTER_DOMAIN}")

    def add(self, name: str) -> Entry:
        """Return the entry of ``name``, made with all names above it if there was none."""
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = Entry()
            _, _, parent = name.partition(".")
            if parent:
                self.add(parent)
        return entry

    def find(self, name: str) -> Entry | None:
        """Return what ``name`` (lower case, no last dot) resolves to, or None if there is no such name."""
        if (entry := self._entries.get(name)) is not None:
            return entry
        pod = _POD_NAME.fullmatch(name)
        if pod is None or pod[2] not in self._namespaces:
            return None
        address = pod[1].replace("-", ".")
        return Entry(addresses=[address]) if _is_address(address) else None

    @staticmethod
    def holds(name: str) -> bool:
        """Return whether ``name`` is of the cluster, so that nobody else can answer for it."""
        return any(name == domain or name.endswith(f".{domain}") for domain in (CLUSTER_DOMAIN, *_REVERSE_DOMAINS))


def build_zone(services: Iterable[Object], slices: Iterable[Object], namespaces: Iterable[str]) -> Zone:
    """Return the zone for these objects."""
    zone = Zone(namespaces)
    owned = slices_by_service(slices)
    for service in services:
        metadata, spec = service["metadata"], service["spec"]
        name = f"{metadata['name']}.{metadata['namespace']}.svc.{CLUSTER_DOMAIN}"
        own_slices = owned.get((metadata["namespace"], metadata["name"]), [])
        if spec.get("type") == "ExternalName":
            zone.add(name).alias = (spec.get("externalName") or "").rstrip(".").lower()
        elif spec.get("clusterIP") == "None":
            _add_endpoints(zone, name, own_slices, headless=True)
        elif _is_address(spec.get("clusterIP") or ""):
            _add_cluster_address(zone, name, spec)
            _add_endpoints(zone, name, own_slices, headless=False)
    return zone


def _add_cluster_address(zone: Zone, name: str, spec: Object) -> None:
    entry = zone.add(name)
    entry.addresses.append(spec["clusterIP"])
    zone.add(_reverse(spec["clusterIP"])).pointers.append(name)
    for port in spec.get("ports") or []:
        _add_service_record(zone, name, port, port["port"], name)


def _add_endpoints(zone: Zone, name: str, slices: Iterable[Object], *, headless: bool) -> None:
    """Add the names of endpoints; a headless Service also has their addresses and ports for its own.

    The name of a headless Service without a ready endpoint does not exist, as with CoreDNS.
    """
    for each in slices:
        for endpoint in each.get("endpoints") or []:
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            for address in endpoint.get("addresses") or []:
                if not _is_address(address):
                    continue
                own_name = f"{endpoint.get('hostname') or address.replace('.', '-')}.{name}"
                _append_new(zone.add(own_name).addresses, address)
                _append_new(zone.add(_reverse(address)).pointers, own_name)
                if headless:
                    _append_new(zone.add(name).addresses, address)
                    for port in each.get("ports") or []:
                        _add_service_record(zone, name, port, port.get("port") or 0, own_name)


def _add_service_record(zone: Zone, name: str, port: Object, number: int, target: str) -> None:
    _append_new(zone.add(name).services, (number, target))
    if port.get("name"):
        protocol = (port.get("protocol") or "TCP").lower()
        _append_new(zone.add(f"_{port['name']}._{protocol}.{name}").services, (number, target))


def _append_new(values: list[T], value: T) -> None:
    if value not in values:
        values.append(value)


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _reverse(address: str) -> str:
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"
