"""What the fault proxy is told and asked, by way of the API server's pod proxy; see `flametest.edgeproxy.admin`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flametest.edgeproxy.rules import Rule
from flametest.faults.edge_proof import Seen, Volume
from flametest.faults.errors import FaultError
from flametest.faults.soundings import pod_proxy
from flametest.faults.switches import ADMIN_PORT
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.resources import Object

__all__ = ["ProxySwitch"]

SOUNDINGS_SECONDS_MAX = 120.0


@dataclass(frozen=True, slots=True)
class ProxySwitch:
    """The switch of a proxy's pod."""

    client: KubeClient
    namespace: str
    pod: str

    def talk(self) -> Object:
        """Return what the service behind the proxy answers to: a name and bytes; an empty name for nothing."""
        return self._send("talk", {})

    def turn_on(self, rules: Sequence[Rule], seconds: float, seed: int) -> None:
        """Put rules in force for a time."""
        self._send("faults", {"rules": [rule.as_json() for rule in rules], "expires_seconds": seconds, "seed": seed})

    def state(self) -> Object:
        """Return what is on, and what was done."""
        return self._get("faults")

    def add_callers(self, addresses: Sequence[str]) -> None:
        """Have these addresses taken for the caller's, too."""
        self._send("callers", {"addresses": list(addresses)})

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
        self._send("soundings", order)
        told = wait_for(self._done, SOUNDINGS_SECONDS_MAX)
        if told is None:
            raise FaultError(f"the soundings did not end within {SOUNDINGS_SECONDS_MAX:g} s")
        return told

    def _done(self) -> Object | None:
        told = self._get("soundings")
        return told if told.get("done") else None

    def _get(self, path: str) -> Object:
        return self.client.api.get(pod_proxy(self.namespace, self.pod, ADMIN_PORT, path))

    def _send(self, path: str, body: Object) -> Object:
        return self.client.api.send("POST", pod_proxy(self.namespace, self.pod, ADMIN_PORT, path), body)
