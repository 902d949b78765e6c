"""All edges of one proxy: several faults of one Service at a time, each with its own rules, callers and counts.

They stand one behind the other, as proxies would: the one that was turned on first is in front. What it lets through
comes to the next one; what it ends, by an answer, a reset or silence, does not.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from .edge import Applied, Edge, sounding_of
from .rules import Unit

__all__ = ["EDGES_MAX", "Switch"]

EDGES_MAX = 100


class Switch:
    """Decides what happens to each connection or request. One per process; used from its event loop only.

    Attributes:
        counts: what is nobody's fault: connections that could not be passed on, and such as speak no HTTP.
        connections: how many came from each address.
        generator_ports: where soundings at length are answered, by protocol.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        self.connections: Counter[str] = Counter()
        self.generator_ports: dict[str, int] = {}
        self._clock = clock
        self._edges: dict[str, Edge] = {}
        self._changed: list[Callable[[Edge], None]] = []

    def edge(self, key: str) -> Edge:
        """Return the edge of a key; one that nobody has asked for is off.

        Raises:
            ValueError: there are too many.
        """
        if key not in self._edges:
            if len(self._edges) >= EDGES_MAX:
                raise ValueError(f"there are {EDGES_MAX} edges already")
            self._edges[key] = Edge(len(self._edges) + 1, self._clock)
        return self._edges[key]

    def turned(self, edge: Edge) -> None:
        """Tell whoever wants to know that an edge was turned on or off."""
        for told in self._changed:
            told(edge)

    def turn_off(self) -> None:
        """Turn all edges off."""
        for edge in self._edges.values():
            edge.turn_off()
            self.turned(edge)

    def on_change(self, told: Callable[[Edge], None]) -> None:
        """Have ``told`` called whenever an edge is turned on or off."""
        self._changed.append(told)

    @property
    def seconds_left(self) -> float:
        """Return when the next edge goes off by itself; 0 when none is on."""
        return min((edge.seconds_left for edge in self._edges.values() if edge.active), default=0.0)

    def refuses(self, port: int) -> bool:
        """Return whether connections to one of the proxy's ports are to be refused."""
        return any(edge.refuses and edge.is_about(port) for edge in self._edges.values())

    def about(self, port: int, protocol: str, address: str) -> list[Edge]:
        """Return the edges by which what an address sends to a port is judged, the one in front first."""
        sounding = sounding_of(address)
        return [
            edge
            for edge in self._edges.values()
            if edge.is_about(port)
            and edge.protocol in ("", protocol)
            and (sounding is None or sounding.number == edge.number)
        ]

    def decide(self, unit: Unit, port: int, protocol: str) -> tuple[Applied, ...]:
        """Return what is done to a unit, by which edges; nothing comes to those behind one that ends it."""
        found: list[Applied] = []
        for edge in self.about(port, protocol, unit.address):
            effect = edge.decide(unit)
            if effect is not None:
                found.append(Applied(edge, effect))
                if effect.ends_at_once:
                    break
        return tuple(found)

    def count(self, kind: str, port: int) -> None:
        """Count what is nobody's fault, for each edge that is on there as well."""
        self.counts[kind] += 1
        for edge in self._edges.values():
            if edge.active and edge.is_about(port):
                edge.counts[kind] += 1

    def state(self) -> dict[str, Any]:
        """Return what is on, and what was done, as JSON."""
        return {
            "active": any(edge.active for edge in self._edges.values()),
            "edges": {key: edge.state() for key, edge in self._edges.items()},
            "counts": dict(self.counts),
            "connections": dict(self.connections),
        }
