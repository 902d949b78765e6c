"""A fault of an edge: of what one Service's port is asked, by everybody or by one caller, through a proxy before it.

Neither side knows of it or needs anything for it. The proxy is deployed and the Service led to it first, which nobody
feels: it passes everything on. Then its rules are turned on, in one request, and that is the moment of the fault;
connections that were open before are ended where the server has means for it, so that pools come by the proxy too.
Healing leads the Service back and removes all of it. See `flametest.edgeproxy` for what the proxy does.
"""

import hashlib
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from flametest.edgeproxy.rules import Effect, Match, Rule
from flametest.faults.admission import likely_callers
from flametest.faults.callers import addresses_of, callers_of, check_told_apart
from flametest.faults.connection import Reach, reach, vantage
from flametest.faults.edge_options import check_options
from flametest.faults.edge_sharing import Sharer, check_beside, join, leave, without_proxy
from flametest.faults.edge_soundings import EdgeSoundings
from flametest.faults.errors import FaultError
from flametest.faults.open_connections import end_open_connections
from flametest.faults.policies import DENYING, isolating
from flametest.faults.protocol import Proof, State
from flametest.faults.proxy_deployment import (
    check_free,
    deploy,
    lead,
    lead_back,
    pods_behind,
    pods_of_proxy,
    ready_proxy,
    take_away,
)
from flametest.faults.proxy_parts import Front, Route, address_of, is_headless, own_name, routes_of
from flametest.faults.proxy_switch import ProxySwitch
from flametest.faults.switches import Follower, running
from flametest.faults.workloads import existing, target_of
from flametest.kube import KubeClient
from flametest.kube.resources import SERVICES, Object
from flametest.kube.snapshots import snapshot
from flametest.model.events import RuleCount, Target

__all__ = ["Edge"]

KEY_CHARACTERS = 12
TLS_PORTS = ("https", "tls", "ssl")

# What follows a caller's pods in this process, and what was done to open connections; another one needs neither.
_followers: dict[tuple[str, str, str, str], Follower] = {}
_ended: dict[tuple[str, str, str, str], str] = {}


@dataclass(frozen=True, slots=True)
class Edge:
    """Do what ``rules`` say to what comes to a Service.

    Attributes:
        namespace: where the Service is.
        service: its name.
        rules: of which the first that applies counts.
        port: the Service's port, by number or name; 0 for every one.
        protocol: ``tcp`` or ``http``.
        caller: whom rules of a caller mean: a workload's name, or a label selector.
        seconds_max: the rules go off by themselves after so long.
        seed: makes the draws repeatable; None to draw one.
    """

    name: ClassVar[str] = "edge"
    lasts: ClassVar[bool] = True

    namespace: str
    service: str
    rules: tuple[Rule, ...]
    port: int | str = 0
    protocol: str = "tcp"
    caller: str = ""
    seconds_max: float = 120.0
    seed: int | None = None

    @property
    def title(self) -> str:
        """Return what it does."""
        told = "; ".join(map(str, self.rules))
        place = f"Service {self.service}{f' port {self.port}' if self.port else ''}"
        return f"{told}: what {self.caller or 'anybody'} asks of {place}"

    @property
    def key(self) -> str:
        """Return what tells it from other edges of the same Service."""
        told = [[rule.as_json() for rule in self.rules], self.port, self.protocol, self.caller]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:KEY_CHARACTERS]

    @property
    def front(self) -> Front:
        """Return what the proxy is made of."""
        return Front(self.namespace, self.service)

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the Service."""
        self._check()
        service = self._existing(client)
        if self.caller:
            callers_of(client, self.namespace, self.caller)
        return (target_of(service),)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the Service as it is, and a pod that can connect to it, where it is to be able to still.

        Raises:
            FaultError: a proxy cannot stand in for it.
        """
        service, others = self._without_proxy(client)
        if not others:
            check_free(client, self.front)
        routes = self._routes(client, service)
        check_beside(self._sharer(routes), others)
        self._check_admitted(client, service)
        self._check_plain(service)
        if self.caller and not callers_of(client, self.namespace, self.caller):
            raise FaultError(f"the caller {self.caller!r} has no pod that runs", "scale it up")
        own_name(service, self._behind(client, service))
        address, port = address_of(service), _place(service, routes)
        # Through another edge a pod may not come, and would say nothing about this one.
        is_asked = not others and not self._ends_connections
        return {
            "namespace": self.namespace,
            "service": snapshot(service),
            "uid": targets[0].uid,
            "pod": self._connecting_pod(client, service, address, port) if is_asked else "",
            "address": address,
            "port": port,
            "edge": self.key,
            "beside": sorted(others),
        }

    def prepare(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Deploy the proxy and lead the Service to it, or join those that share it; it passes everything on still.

        Raises:
            FaultError: it did not get ready, does not reach the service, or cannot tell the caller apart.
        """
        service, others = self._without_proxy(client)
        routes = self._routes(client, service)
        if others:
            join(client, self.front, self._sharer(routes))
        else:
            deploy(client, self.front, service, routes, self._sharer(routes))
        switch = self.switch(client)
        if others:
            switch.speak(self.protocol)
        soundings = EdgeSoundings(switch, self.rules, self.seconds_max)
        self._check_protocol(soundings.talk)
        ends = soundings.direct().ends if soundings.talk else ()
        if broken := sum(not end.isdigit() or int(end) >= 500 for end in ends if end != "answered"):
            raise FaultError(
                f"{broken} of {len(ends)} soundings of Service {self.service} fail without the fault, "
                "so it would prove nothing",
                "fix the system first",
            )
        if not others:
            lead(client, self.front, service, routes)
        if self.caller:
            self._follow(client, switch, (address_of(service), _place(service, routes)))

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Turn the rules on, and end connections that were open before."""
        switch = self.switch(client)
        seed = random.randrange(2**31) if self.seed is None else self.seed  # noqa: S311
        switch.turn_on(self.rules, self.seconds_max, seed)
        _ended[self._key(client)] = self._end_open_connections(client)

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Send soundings through the rules until they show them, and ask the proxy what it did and could not do."""
        begun, switch = time.monotonic(), self.switch(client)
        soundings = EdgeSoundings(switch, self.rules, self.seconds_max)
        checks = [soundings.shown(), soundings.untouched(), self._reached(client, state)]
        lost = switch.state()["counts"].get("unreachable", 0)
        checks.append(Proof(not lost, f"the proxy could not pass on {lost} connections" if lost else ""))
        checks.append(Proof(True, _ended.get(self._key(client), "")))
        told = "; ".join(check.evidence for check in checks if check.evidence)
        return Proof(all(check.proved for check in checks), told, lasted_seconds=time.monotonic() - begun)

    @property
    def counted_at(self) -> str:
        """Return the Service, and the caller where only one is meant."""
        return f"{self.caller} → {self.service}" if self.caller else self.service

    def counts(self, client: KubeClient) -> tuple[RuleCount, ...]:
        """Return what the proxy has counted, by rule."""
        told = self.switch(client).state()
        passed = int(told["counts"].get("units", 0))
        return tuple(
            RuleCount(str(rule), passed, int(seen["meant"]), int(seen["applied"]))
            for rule, seen in zip(self.rules, told["rules"], strict=True)
        )

    def _end_open_connections(self, client: KubeClient) -> str:
        # The Service leads to the proxy by now; the proxy's own way to the pods has the same ports.
        ports = {int(one["port"]): str(one.get("name", "")) for one in self._existing(client)["spec"]["ports"]}
        origin = existing(client, SERVICES, self.namespace, self.front.origin)
        pods = pods_behind(client, self.namespace, origin["spec"]["selector"])
        callers = addresses_of(callers_of(client, self.namespace, self.caller)) if self.caller else []
        own = addresses_of(pods_of_proxy(client, self.front))
        numbers = [
            route.number
            for route in (routes_of(origin, pods[0]) if pods else ())
            if self.port in (0, route.port, ports.get(route.port) or 0)
        ]
        told = [end_open_connections(client, pods, number, callers, own) for number in numbers]
        return "; ".join(one for one in told if one)

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Turn its rules off; the last edge of a Service leads it back and removes the proxy."""
        kept, key = state["service"], str(state.get("edge", ""))
        front = Front(state["namespace"], kept["metadata"]["name"])
        where = (client.api.server, front.namespace, front.service, key)
        follower = _followers.pop(where, None)
        if follower is not None:
            follower.stop()
        _ended.pop(where, None)
        if others := leave(client, front, key):
            for pod in running(pods_of_proxy(client, front)):
                ProxySwitch(client, front.namespace, str(pod["metadata"]["name"]), key, ()).turn_off()
            return f"its rules are off; the fault proxy of Service {front.service} stays for {'; '.join(others)}"
        told = lead_back(client, front, kept, state["uid"])
        take_away(client, front)
        return f"{told}; the fault proxy, its program, its Service and its policies are removed"

    def _callers_left(self, client: KubeClient) -> list[Object]:
        try:
            return callers_of(client, self.namespace, self.caller)
        except FaultError:  # somebody has removed it
            return []

    @property
    def _ends_connections(self) -> bool:
        """Return whether rules end connections, so that a pod which cannot connect shows nothing."""
        return any(rule.effect.refuse or rule.effect.reset for rule in self.rules)

    def _connecting_pod(self, client: KubeClient, service: Object, address: str, port: int) -> str:
        """Return the name of a pod that can connect to the Service; it takes commands in pods of the system."""
        pods = self._behind(client, service)
        behind = {str(pod["metadata"]["name"]) for pod in pods}
        likely = likely_callers(client, self.namespace, {str(pod["metadata"]["uid"]) for pod in pods})
        return vantage(client, self.namespace, address, port, besides=behind, likely=likely).pod

    def _reached(self, client: KubeClient, state: State) -> Proof:
        """Return whether a pod that could connect to the Service still can; it is not asked where it is not to."""
        source = (self.namespace, str(state["pod"]))
        if not source[1] or reach(client, source, state["address"], state["port"]) is not Reach.FAILED:
            return Proof(True, "")
        return Proof(False, f"pod {source[1]} cannot connect to the Service any more")

    def _check(self) -> None:
        """Return if the options make sense.

        Raises:
            FaultError: they do not; the message names the option.
        """
        self.front.check()
        check_options(self.rules, self.protocol, self.seconds_max)

    def _check_plain(self, service: Object) -> None:
        """Return unless the content of a port is to be read whose own name says that it is encrypted.

        Raises:
            FaultError: it is.
        """
        if self.protocol != "http":
            return
        for port in service["spec"]["ports"]:
            named = {str(port.get("name", "")).lower(), str(port.get("appProtocol", "")).lower()}
            meant = self.port in (0, port["port"], port.get("name") or 0)
            if meant and (named & set(TLS_PORTS) or port["port"] == 443):
                raise _encrypted(self.service, str(port["port"]))

    def _check_admitted(self, client: KubeClient, service: Object) -> None:
        """Return unless a partition lasts: the proxy would copy its rules, and admit nobody when they are back.

        Raises:
            FaultError: one does.
        """
        pods = {str(pod["metadata"]["uid"]) for pod in self._behind(client, service)}
        for policy in isolating(client, self.namespace, pods):
            if str(policy["metadata"]["name"]).startswith(DENYING):
                raise FaultError(
                    f"the pods of Service {self.service} are cut off by NetworkPolicy {policy['metadata']['name']}, so "
                    "nothing comes to it that could be disturbed",
                    "inject the edge before the partition, or heal the partition first",
                )

    def _check_protocol(self, talk: str) -> None:
        if self.protocol != "http" or talk == "http":
            return
        if talk == "tls":
            raise _encrypted(self.service, str(self.port or "asked for"))
        raise FaultError(
            f"Service {self.service} does not answer HTTP/1.1{f', but {talk}' if talk else ''}",
            'name its port, or use protocol "tcp"',
        )

    def _existing(self, client: KubeClient) -> Object:
        return existing(client, SERVICES, self.namespace, self.service)

    def _without_proxy(self, client: KubeClient) -> tuple[Object, dict[str, Sharer]]:
        """Return the Service as it is without a proxy, and the edges whose proxy stands before it."""
        service = self._existing(client)
        return without_proxy(client, self.front, service) if self.front.leads(service) else (service, {})

    def _sharer(self, routes: Sequence[Route]) -> Sharer:
        ports = tuple(route.port for route in routes if route.disturbed(self.port))
        whole = any(rule.match == Match() and _ends(rule.effect) for rule in self.rules)
        return Sharer(self.key, self.title, ports, self.protocol, self.caller, whole)

    def _routes(self, client: KubeClient, service: Object) -> tuple[Route, ...]:
        pods = self._behind(client, service)
        if not pods:
            raise FaultError(f"Service {self.service} has no pod that runs", "deploy what it routes to")
        return routes_of(service, pods[0], self.port, self.protocol)

    def _behind(self, client: KubeClient, service: Object) -> list[Object]:
        return pods_behind(client, self.namespace, service["spec"].get("selector"))

    def switch(self, client: KubeClient) -> ProxySwitch:
        """Return its switch in the proxy.

        Raises:
            FaultError: the proxy is not ready.
            KubeError: the API is unreachable or refused.
        """
        pod = ready_proxy(client, self.front)
        if not pod:
            raise FaultError("the fault proxy is not ready any more", "see its pod's events")
        routes = self._routes(client, self._without_proxy(client)[0])
        listens = tuple(route.listen for route in routes if route.protocol != "pass")
        return ProxySwitch(client, self.namespace, pod, self.key, listens)

    def _key(self, client: KubeClient) -> tuple[str, str, str, str]:
        return client.api.server, self.namespace, self.service, self.key

    def _follow(self, client: KubeClient, switch: ProxySwitch, place: tuple[str, int]) -> None:
        """Tell the proxy who the caller is, now and as pods come."""
        pods = callers_of(client, self.namespace, self.caller)
        check_told_apart(client, pods, place, switch.connections)
        follower = Follower(
            lambda: self._callers_left(client),
            lambda pod: switch.add_callers(addresses_of([pod])),
            time.monotonic() + self.seconds_max,
        )
        _followers[self._key(client)] = follower
        follower.start()


def _place(service: Object, routes: tuple[Route, ...]) -> int:
    """Return the port to which callers connect."""
    route = _disturbed(routes)
    return route.number if is_headless(service) else route.port


def _ends(effect: Effect) -> bool:
    """Return whether nothing of what it is done to is passed on."""
    return effect.ends_at_once or effect.refuse


def _disturbed(routes: tuple[Route, ...]) -> Route:
    return next(route for route in routes if route.protocol != "pass")


def _encrypted(service: str, port: str) -> FaultError:
    return FaultError(
        f"Service {service}'s port {port} speaks TLS: methods, paths, headers and statuses are encrypted, and a proxy "
        "without its key reads none of them",
        'use protocol "tcp" with a rule by caller, share, first or every',
    )
