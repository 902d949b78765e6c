"""The addresses and node ports of Services: which are taken, and by whom.

One `ServiceAddresses` belongs to one registry and lives as long. The first part of the range is left to fixed addresses
such as that of the cluster's DNS; what is given out at random comes from the rest.
"""

import ipaddress
import random
from collections.abc import Iterator

from flametest.sandbox.apiserver.failures import Cause, bad_value
from flametest.sandbox.errors import StatusError
from flametest.sandbox.objects import Object

__all__ = ["NODE_PORTS", "SERVICE_RANGE", "ServiceAddresses"]

SERVICE_RANGE = "10.96.0.0/16"
NODE_PORTS = range(30_000, 32_768)
FIXED_ADDRESSES = 256
"""How many addresses from the start of the range are given out only when they are asked for."""

FIXED_PORTS = 128
"""Likewise for node ports: manifests like to name low ones."""


class ServiceAddresses:
    """The addresses and node ports that are taken."""

    def __init__(self, rng: random.Random, service_range: str = SERVICE_RANGE, node_ports: range = NODE_PORTS) -> None:
        self._rng = rng
        self._network = ipaddress.IPv4Network(service_range)
        self._node_ports = node_ports
        self._addresses: set[str] = set()
        self._ports: set[tuple[int, str]] = set()

    def allocate(self, service: Object, old: Object | None) -> list[Cause]:
        """Give a Service the address and node ports of its type; take back what the old state had and it has not.

        Returns the faults of what was asked for; then nothing has changed.
        """
        self._take_back(old)
        causes = list(self._check(service))
        if causes:
            self._take(old)
            return causes
        spec = service["spec"]
        if spec["type"] != "ExternalName":
            address = spec.get("clusterIP") or next(iter(spec.get("clusterIPs", ())), "") or self._free_address()
            spec["clusterIP"], spec["clusterIPs"] = address, [address]
        if self._wants_ports(spec):
            for port in spec.get("ports", ()):
                if not port.get("nodePort"):
                    port["nodePort"] = self._free_port(port["protocol"])
                self._ports.add((port["nodePort"], port["protocol"]))
        self._take(service)
        return []

    def release(self, service: Object) -> None:
        """Take back the address and node ports of a Service that is gone."""
        self._take_back(service)

    def restore(self, service: Object, old: Object | None) -> None:
        """Undo an allocation, for a write that was only tried."""
        self._take_back(service)
        self._take(old)

    @staticmethod
    def _wants_ports(spec: Object) -> bool:
        wanted = spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
        return bool(wanted) or spec["type"] == "NodePort"

    def _check(self, service: Object) -> Iterator[Cause]:
        spec = service["spec"]
        address = spec.get("clusterIP", "")
        if address and address != "None":
            yield from self._check_address(address)
        for index, port in enumerate(spec.get("ports", ())):
            number = port.get("nodePort")
            if not number:
                continue
            field = f"spec.ports[{index}].nodePort"
            if spec["type"] not in ("NodePort", "LoadBalancer"):
                detail = f"Forbidden: may not be used when `type` is '{spec['type']}'"
                yield Cause(field, "FieldValueForbidden", detail)
            elif number not in self._node_ports:
                shown = f"{self._node_ports.start}-{self._node_ports.stop - 1}"
                detail = f"provided port is not in the valid range. The range of valid ports is {shown}"
                yield bad_value(field, number, detail)
            elif (number, port["protocol"]) in self._ports:
                yield bad_value(field, number, "provided port is already allocated")

    def _check_address(self, address: str) -> Iterator[Cause]:
        try:
            inside = ipaddress.IPv4Address(address) in self._network
        except ValueError:
            detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            yield bad_value("spec.clusterIPs[0]", address, detail)
            return
        prefix = f"failed to allocate IP {address}: "
        if not inside:
            detail = f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {self._network}"
            yield bad_value("spec.clusterIPs", [address], prefix + detail)
        elif address in self._addresses:
            yield bad_value("spec.clusterIPs", [address], prefix + "provided IP is already allocated")

    def _take(self, service: Object | None) -> None:
        if service is None:
            return
        address = service["spec"].get("clusterIP", "")
        if address and address != "None":
            self._addresses.add(address)
        for port in service["spec"].get("ports", ()):
            if port.get("nodePort"):
                self._ports.add((port["nodePort"], port["protocol"]))

    def _take_back(self, service: Object | None) -> None:
        if service is None:
            return
        self._addresses.discard(service["spec"].get("clusterIP", ""))
        for port in service["spec"].get("ports", ()):
            self._ports.discard((port.get("nodePort", 0), port["protocol"]))

    def _free_address(self) -> str:
        count = self._network.num_addresses
        start = self._rng.randrange(FIXED_ADDRESSES, count - 1)
        for step in range(count):
            address = str(self._network[(start + step) % (count - 2) + 1])
            if address not in self._addresses:
                return address
        raise StatusError(500, "InternalError", f"the service range {self._network} is used up: delete a Service")

    def _free_port(self, protocol: str) -> int:
        count = len(self._node_ports)
        start = self._rng.randrange(FIXED_PORTS, count)
        for step in range(count):
            number = self._node_ports[(start + step) % count]
            if (number, protocol) not in self._ports:
                return number
        raise StatusError(500, "InternalError", "all node ports are taken: delete a Service of type NodePort")
