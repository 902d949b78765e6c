"""What the fault proxy is told and asked; see `flametest.edgeproxy.admin`.

It is asked by way of the API server's pod proxy. Where that does not reach it, as where policies are enforced and the
API server is on no node of the pod's, it is asked from inside: by a command in its own pod, which is Flametest's.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flametest.edgeproxy.rules import Rule
from flametest.faults.edge_proof import Seen, Volume
from flametest.faults.errors import FaultError, HealError
from flametest.faults.server_access import unreached
from flametest.faults.soundings import pod_proxy
from flametest.faults.switches import ADMIN_PORT, SWITCH, turn_off
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError
from flametest.kube.execute import execute
from flametest.kube.resources import Object

__all__ = ["ProxySwitch"]

SOUNDINGS_SECONDS_MAX = 120.0
ANSWER_CHARACTERS_MAX = 1_000_000
_ASK = f"""
import sys, urllib.error, urllib.request
method, path, body = sys.argv[1:]
asked = urllib.request.Request("http://127.0.0.1:{ADMIN_PORT}/" + path, body.encode() or None, method=method)
try:
    with urllib.request.urlopen(asked, timeout=8) as answer:
        print(200, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code, error.read().decode())
"""

# Whether the API server reaches a pod, by server, namespace and name.
_reached: dict[tuple[str, str, str], bool] = {}


@dataclass(frozen=True, slots=True)
class ProxySwitch:
    """The switch of one edge in a proxy's pod.

    Attributes:
        client: the cluster.
        namespace: where the pod is.
        pod: its name.
        edge: the edge's key.
        ports: the ports of the proxy that the edge is about.
    """

    client: KubeClient
    namespace: str
    pod: str
    edge: str
    ports: tuple[int, ...]

    def speak(self, protocol: str) -> None:
        """Have what comes to the ports from now on taken for a protocol.

        Raises:
            KubeError: they are taken for another one, or the API is unreachable or refused.
        """
        self._send("ports", {"ports": list(self.ports), "protocol": protocol})

    def talk(self) -> Object:
        """Return what the service behind the proxy answers to: a name and bytes; an empty name for nothing."""
        return self._send("talk", {"port": self.ports[0]})

    def turn_on(self, rules: Sequence[Rule], seconds: float, seed: int) -> None:
        """Put rules in force for a time."""
        told = {"rules": [rule.as_json() for rule in rules], "expires_seconds": seconds, "seed": seed}
        self._send(SWITCH, told | {"edge": self.edge, "ports": list(self.ports)})

    def turn_off(self) -> None:
        """Put the rules out of force, and see that they are; a pod that is gone has none.

        Raises:
            HealError: they were not seen to be off within a bound.
            KubeError: the API is unreachable.
        """
        path = f"{SWITCH}/{self.edge}"
        if self._is_reached():
            turn_off(self.client, self.namespace, self.pod, path)
        elif self._inside("DELETE", path, "").get("active"):
            raise HealError(f"the rules of an edge in pod {self.pod} are on still", "they go off when their time ends")

    def state(self) -> Object:
        """Return what is on, and what was done."""
        return self._get(f"{SWITCH}/{self.edge}")

    def connections(self) -> dict[str, int]:
        """Return how many connections came to the proxy from each address."""
        return dict(self._get(SWITCH)["connections"])

    def add_callers(self, addresses: Sequence[str]) -> None:
        """Have these addresses taken for the caller's, too."""
        self._send("callers", {"edge": self.edge, "addresses": list(addresses)})

    def sound(self, **order: Any) -> Seen:
        """Send soundings, and return what became of them; see `flametest.edgeproxy.soundings.Order`.

        Raises:
            FaultError: they did not end within a bound.
            KubeError: the API is unreachable or refused.
        """
        told = self._sound(order)
        return Seen(tuple(told["ends"]), tuple(told["latencies_ms"]))

    def sound_volume(self, **order: Any) -> Volume:
        """Send one that is answered at length; raises as `sound` does."""
        told = self._sound(order)
        return Volume(int(told["received_bytes"]), float(told["seconds"]), str(told["end"]))

    def _sound(self, order: dict[str, Any]) -> Object:
        self._send("soundings", order | {"edge": self.edge, "port": self.ports[0]})
        told = wait_for(self._done, SOUNDINGS_SECONDS_MAX)
        if told is None:
            raise FaultError(f"the soundings did not end within {SOUNDINGS_SECONDS_MAX:g} s")
        return told

    def _done(self) -> Object | None:
        told = self._get("soundings")
        return told if told.get("done") else None

    def _get(self, path: str) -> Object:
        if self._is_reached():
            return self.client.api.get(pod_proxy(self.namespace, self.pod, ADMIN_PORT, path))
        return self._inside("GET", path, "")

    def _send(self, path: str, body: Object) -> Object:
        if self._is_reached():
            return self.client.api.send("POST", pod_proxy(self.namespace, self.pod, ADMIN_PORT, path), body)
        return self._inside("POST", path, json.dumps(body))

    def _is_reached(self) -> bool:
        key = (self.client.api.server, self.namespace, self.pod)
        if key not in _reached:
            _reached[key] = not unreached(self.client, self.namespace, self.pod, ADMIN_PORT, "healthz")
        return _reached[key]

    def _inside(self, method: str, path: str, body: str) -> Object:
        done = execute(
            self.client.api,
            (self.namespace, self.pod),
            ["python3", "-I", "-S", "-c", _ASK, method, path, body],
            mutating=method != "GET",
            characters_max=ANSWER_CHARACTERS_MAX,
        )
        code, _, told = done.output.partition(" ")
        if done.code != 0 or not code.isdigit():
            raise FaultError(
                f"the fault proxy could not be asked: {done.refusal or done.output.strip() or 'no answer'}"
            )
        if code != "200":
            raise ApiRejectedError(f"{method} {path} of the fault proxy: {told.strip()}", code=int(code))
        return dict(json.loads(told))
