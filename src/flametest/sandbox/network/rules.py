"""How Services become nftables rules: pure, from objects to commands.

`plan` turns Services and EndpointSlices into a `Ruleset`; `commands` into what has to be run to come from one to the
next in one transaction, so that an endpoint that comes or goes costs one short command. The shape is that of
kube-proxy's nftables mode: verdict maps from address, protocol and port to one chain a Service port, a random choice
of the endpoint in that chain, masquerading where a pod reaches itself, and addresses without an endpoint refused.

Not emulated: ``externalTrafficPolicy: Local`` and ``internalTrafficPolicy: Local`` (all nodes are one), and the time
limit of ``sessionAffinity: ClientIP`` (a client keeps its endpoint until the endpoints change).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from flametest.sandbox.objects import Object
from flametest.sandbox.settings import SERVICE_RANGE

__all__ = ["TABLE", "Ruleset", "base", "commands", "endpoints_of", "plan", "slices_by_service", "udp_addresses_changed"]

TABLE = "ip flametest"

_PROTOCOLS = {"TCP": "tcp", "UDP": "udp"}

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The part of the rules that changes.

    Attributes:
        chains: the rule of each Service port that has endpoints, by the name of its chain.
        services: the chain for each ``address . protocol . port``.
        node_ports: the chain for each ``protocol . port``.
        cluster_addresses: addresses of all Services, with endpoints or not.
        pod_addresses: addresses of all endpoints, for which a pod that reaches itself is masqueraded.
        udp: the endpoints of each UDP Service address.
    """

    chains: dict[str, str] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    node_ports: dict[str, str] = field(default_factory=dict)
    cluster_addresses: frozenset[str] = frozenset()
    pod_addresses: frozenset[str] = frozenset()
    udp: dict[Address, tuple[Address, ...]] = field(default_factory=dict)


def base(node_addresses: Iterable[str]) -> str:
    """Return the commands that make the table, its maps and its hooks; run once."""
    nodes = ", ".join(node_addresses)
    lookup = f"""
        ip daddr . meta l4proto . th dport vmap @services
        ip daddr {{ {nodes} }} meta l4proto . th dport vmap @node-ports"""
    return f"""
add table {TABLE}
table {TABLE} {{
    map services {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
    map node-ports {{ type inet_proto . inet_service : verdict; }}
    set cluster-addresses {{ type ipv4_addr; }}
    set hairpins {{ type ipv4_addr . ipv4_addr; }}
    chain translate-forwarded {{
        type nat hook prerouting priority dstnat; policy accept;{lookup}
    }}
    chain translate-local {{
        type nat hook output priority -100; policy accept;{lookup}
    }}
    chain masquerade-hairpins {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr . ip daddr @hairpins masquerade
    }}
    chain unserved {{
        ip daddr @cluster-addresses meta l4proto tcp reject with tcp reset
        ip daddr @cluster-addresses reject
        drop
    }}
    chain refuse-forwarded {{
        type filter hook prerouting priority -90; policy accept;
        ip daddr {SERVICE_RANGE} jump unserved
    }}
    chain refuse-local {{
        type filter hook output priority -90; policy accept;
        ip daddr {SERVICE_RANGE} jump unserved
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
    }}
}}
"""


def plan(services: Iterable[Object], slices: Iterable[Object]) -> Ruleset:
    """Return the rules for these Services and EndpointSlices; what has no address of the cluster is left out."""
    owned = slices_by_service(slices)
    ruleset = Ruleset()
    cluster_addresses: set[str] = set()
    pod_addresses: set[str] = set()
    for service in services:
        spec, metadata = service["spec"], service["metadata"]
        address = spec.get("clusterIP") or ""
        if address in ("", "None") or ":" in address or spec.get("type") == "ExternalName":
            continue
        cluster_addresses.add(address)
        own_slices = owned.get((metadata["namespace"], metadata["name"]), [])
        for port in spec.get("ports") or []:
            backends = endpoints_of(port, own_slices)
            protocol = _PROTOCOLS.get(port.get("protocol") or "TCP")
            if not backends or protocol is None:
                continue
            pod_addresses.update(backend for backend, _ in backends)
            _add_port(ruleset, service, port, protocol, backends)
    return Ruleset(
        chains=ruleset.chains,
        services=ruleset.services,
        node_ports=ruleset.node_ports,
        cluster_addresses=frozenset(cluster_addresses),
        pod_addresses=frozenset(pod_addresses),
        udp=ruleset.udp,
    )


def _add_port(ruleset: Ruleset, service: Object, port: Object, protocol: str, backends: tuple[Address, ...]) -> None:
    spec, metadata = service["spec"], service["metadata"]
    address, number = spec["clusterIP"], port["port"]
    chain = f"service/{metadata['namespace']}/{metadata['name']}/{protocol}/{number}"
    ruleset.chains[chain] = _choice(protocol, backends, sticky=spec.get("sessionAffinity") == "ClientIP")
    ruleset.services[f"{address} . {protocol} . {number}"] = chain
    if node_port := port.get("nodePort"):
        ruleset.node_ports[f"{protocol} . {node_port}"] = chain
    if protocol == "udp":
        ruleset.udp[address, number] = backends


def _choice(protocol: str, backends: tuple[Address, ...], *, sticky: bool) -> str:
    if len(backends) == 1:
        ((address, port),) = backends
        return f"meta l4proto {protocol} dnat to {address}:{port}"
    by_number = ", ".join(f"{number} : {address} . {port}" for number, (address, port) in enumerate(backends))
    source = "jhash ip saddr" if sticky else "numgen random"
    return f"meta l4proto {protocol} dnat ip to {source} mod {len(backends)} map {{ {by_number} }}"


def slices_by_service(slices: Iterable[Object]) -> dict[tuple[str, str], list[Object]]:
    """Return EndpointSlices by the namespace and name of the Service that they belong to."""
    owned: dict[tuple[str, str], list[Object]] = {}
    for each in slices:
        metadata = each["metadata"]
        owner = (metadata.get("labels") or {}).get("kubernetes.io/service-name", "")
        owned.setdefault((metadata["namespace"], owner), []).append(each)
    return owned


def endpoints_of(port: Object, slices: Iterable[Object]) -> tuple[Address, ...]:
    """Return the endpoints that serve a Service's port: the ready ones, or those that end but still serve if none is.

    Slices and port are matched by the port's name, as the API defines it; an unknown readiness counts as ready.
    """
    ready: set[Address] = set()
    ending: set[Address] = set()
    for each in slices:
        if each.get("addressType", "IPv4") != "IPv4":
            continue
        number = _slice_port(port, each)
        if number is None:
            continue
        for endpoint in each.get("endpoints") or []:
            conditions = endpoint.get("conditions") or {}
            addresses = {(address, number) for address in endpoint.get("addresses") or []}
            if conditions.get("ready") is not False:
                ready |= addresses
            elif conditions.get("serving") and conditions.get("terminating"):
                ending |= addresses
    return tuple(sorted(ready or ending))


def _slice_port(port: Object, endpoint_slice: Object) -> int | None:
    for candidate in endpoint_slice.get("ports") or []:
        same_name = (candidate.get("name") or "") == (port.get("name") or "")
        if same_name and (candidate.get("protocol") or "TCP") == (port.get("protocol") or "TCP"):
            number: int | None = candidate.get("port")
            return number
    return None


def commands(before: Ruleset, after: Ruleset) -> str:
    """Return the commands that come from one ruleset to the other in one transaction; empty for none."""
    lines: list[str] = []
    for chain, rule in after.chains.items():
        if before.chains.get(chain) == rule:
            continue
        lines.append(f"{'flush' if chain in before.chains else 'add'} chain {TABLE} {chain}")
        lines.append(f"add rule {TABLE} {chain} {rule}")
    for name, old, new in (
        ("services", before.services, after.services),
        ("node-ports", before.node_ports, after.node_ports),
    ):
        gone = [f"{key} : goto {chain}" for key, chain in old.items() if new.get(key) != chain]
        come = [f"{key} : goto {chain}" for key, chain in new.items() if old.get(key) != chain]
        lines += _element_changes(name, gone, come)
    lines += _element_changes(
        "cluster-addresses",
        before.cluster_addresses - after.cluster_addresses,
        after.cluster_addresses - before.cluster_addresses,
    )
    lines += _element_changes(
        "hairpins",
        [f"{address} . {address}" for address in before.pod_addresses - after.pod_addresses],
        [f"{address} . {address}" for address in after.pod_addresses - before.pod_addresses],
    )
    for chain in before.chains:
        if chain not in after.chains:
            lines += [f"flush chain {TABLE} {chain}", f"delete chain {TABLE} {chain}"]
    return "".join(f"{line}\n" for line in lines)


def _element_changes(name: str, gone: Iterable[str], come: Iterable[str]) -> list[str]:
    return [
        f"{verb} element {TABLE} {name} {{ {', '.join(sorted(elements))} }}"
        for verb, elements in (("delete", gone), ("add", come))
        if elements
    ]


def udp_addresses_changed(before: Ruleset, after: Ruleset) -> set[Address]:
    """Return the UDP Service addresses that lost an endpoint: connections tracked to it would go on to nowhere."""
    return {address for address, backends in before.udp.items() if set(backends) - set(after.udp.get(address, ()))}
