"""The text of nftables rules for a rule set of NetworkPolicies: pure.

A connection is judged by each packet that goes the way in which it was opened, not by its first one alone: a policy
that comes into force also stops connections that are open, and one that goes lets them continue, like a partition of
the network that heals. (Kubernetes leaves this to the network plugin; Cilium does so too.) What is not allowed is
dropped in silence, as by most plugins, so a client runs into its time limit.

Egress is judged before ingress, by chains of different priority, so that what one lets through still meets the other.
Traffic from the node itself passes the output hook, where nobody judges: probes, the API server's proxy, NodePorts.
"""

from collections.abc import Iterable

from flametest.sandbox.network.policies import Allowance, Block, Policing, PortRange

__all__ = ["POLICY_TABLE", "commands", "policy_base"]

POLICY_TABLE = "ip flametest-policies"


def policy_base() -> str:
    """Return the commands that make the table, with its maps and hooks; run once."""
    return f"""
add table {POLICY_TABLE}
table {POLICY_TABLE} {{
    map isolated-egress {{ type ipv4_addr : verdict; }}
    map isolated-ingress {{ type ipv4_addr : verdict; }}
    chain leaving {{
        type filter hook forward priority -1; policy accept;
        ct direction reply accept
        ip saddr vmap @isolated-egress
    }}
    chain leaving-for-node {{
        type filter hook input priority -1; policy accept;
        ct direction reply accept
        ip saddr vmap @isolated-egress
    }}
    chain arriving {{
        type filter hook forward priority 1; policy accept;
        ct direction reply accept
        ip daddr vmap @isolated-ingress
    }}
}}
"""


def commands(before: Policing, after: Policing) -> str:
    """Return the commands that come from one rule set to the other in one transaction; empty for none."""
    old_sets, new_sets = _sets(before), _sets(after)
    old_chains, new_chains = _chains(before), _chains(after)
    lines = [f"add set {POLICY_TABLE} {name} {{ type {kind}; }}" for (name, kind) in new_sets.keys() - old_sets.keys()]
    for key, elements in new_sets.items():
        held = old_sets.get(key, frozenset())
        lines += _elements("delete", key[0], held - elements) + _elements("add", key[0], elements - held)
    lines += [f"add chain {POLICY_TABLE} {name}" for name in new_chains if name not in old_chains]
    gone, come = _entries(before) - _entries(after), _entries(after) - _entries(before)
    # Nothing may lead to a chain, and no rule to a set, when it is deleted.
    lines += _isolated("delete", gone)
    for name, rules in old_chains.items():
        if new_chains.get(name) != rules:
            lines.append(f"flush chain {POLICY_TABLE} {name}")
    for name, rules in new_chains.items():
        if old_chains.get(name) != rules:
            lines += [f"add rule {POLICY_TABLE} {name} {rule}" for rule in rules]
    lines += _isolated("add", come)
    lines += [f"delete chain {POLICY_TABLE} {name}" for name in old_chains if name not in new_chains]
    lines += [f"delete set {POLICY_TABLE} {name}" for (name, _) in old_sets.keys() - new_sets.keys()]
    return "".join(f"{line}\n" for line in lines)


def _sets(policing: Policing) -> dict[tuple[str, str], frozenset[str]]:
    """Return the elements of each set by its name and type."""
    sets = {(name, "ipv4_addr"): addresses for name, addresses in policing.peers.items()}
    for name, sockets in policing.sockets.items():
        sets[name, "ipv4_addr . inet_proto . inet_service"] = frozenset(
            f"{address} . {protocol} . {port}" for address, protocol, port in sockets
        )
    return sets


def _entries(policing: Policing) -> set[tuple[str, str]]:
    """Return the direction and address of each isolated pod."""
    return {("egress", address) for address in policing.egress} | {("ingress", address) for address in policing.ingress}


def _isolated(verb: str, entries: Iterable[tuple[str, str]]) -> list[str]:
    return [
        f"{verb} element {POLICY_TABLE} isolated-{direction} {{ {address} : goto {direction}/{address} }}"
        for direction, address in sorted(entries)
    ]


def _elements(verb: str, name: str, elements: Iterable[str]) -> list[str]:
    listed = ", ".join(sorted(elements))
    return [f"{verb} element {POLICY_TABLE} {name} {{ {listed} }}"] if listed else []


def _chains(policing: Policing) -> dict[str, tuple[str, ...]]:
    """Return the rules of each chain: one chain a policy and direction, one a pod and direction."""
    chains = {
        name: tuple(_rule(name.partition("/")[0], allowance) for allowance in allowances)
        for name, allowances in policing.allowances.items()
    }
    for direction, far, isolated in (("egress", "daddr", policing.egress), ("ingress", "saddr", policing.ingress)):
        for address, isolation in isolated.items():
            jumps = [f"jump {name}" for name in isolation.policies if chains[name]]
            # No policy keeps a pod from itself, also by way of a Service.
            chains[f"{direction}/{address}"] = (f"ip {far} {address} accept", *jumps, "drop")
    return chains


def _rule(direction: str, allowance: Allowance) -> str:
    far = "saddr" if direction == "ingress" else "daddr"
    return " ".join([*_peer(far, allowance.peer), *_port(allowance.port), "accept"])


def _peer(far: str, peer: str | Block | None) -> list[str]:
    if peer is None:
        return []
    if isinstance(peer, str):
        return [f"ip {far} @{peer}"]
    # A prefix of length 0 is every address, for which nftables has no match.
    networks = [] if peer.network.endswith("/0") else [f"ip {far} {peer.network}"]
    return networks + [f"ip {far} != {network}" for network in peer.but]


def _port(port: str | PortRange | None) -> list[str]:
    if port is None:
        return []
    if isinstance(port, str):
        return [f"ip daddr . meta l4proto . th dport @{port}"]
    if (port.first, port.last) == (0, 65535):
        return [f"meta l4proto {port.protocol}"]
    numbers = str(port.first) if port.first == port.last else f"{port.first}-{port.last}"
    return [f"meta l4proto {port.protocol} th dport {numbers}"]
