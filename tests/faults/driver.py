"""Injects one fault as an experiment does, and ends at a given step in a given way; run as a process of its own.

    python driver.py FAULT STEP WAY

FAULT may be several, joined by plus signs: those before the last one are injected first, and last. STEP is armed (the
undo record is on disk), half (after the first request), sent-2 (after the second, and so on), injected or proved; WAY
is end, exception, or the name of a signal that the process sends itself.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flametest.edgeproxy.rules import Effect, Match, Rule
from flametest.faults import inside, proxy_switch
from flametest.faults.bad_rollout import BadRollout
from flametest.faults.container_crash import ContainerCrash
from flametest.faults.cpu_hog import CpuHog
from flametest.faults.dependency_outage import DependencyOutage
from flametest.faults.dns_outage import DnsOutage
from flametest.faults.edge import Edge
from flametest.faults.frozen_process import FrozenProcess
from flametest.faults.full_volume import FullVolume
from flametest.faults.healing import Healing, place_of
from flametest.faults.http_faults import HttpFaults, rules_of
from flametest.faults.intrusion import Intrusion
from flametest.faults.memory_hog import MemoryHog
from flametest.faults.network_partition import NetworkPartition
from flametest.faults.new_version import NewVersion
from flametest.faults.node_drain import NodeDrain
from flametest.faults.node_loss import NodeLoss
from flametest.faults.nodes import NodeSelection
from flametest.faults.owner import own_owner
from flametest.faults.protocol import Fault, Proof
from flametest.faults.random_errors import RandomErrors
from flametest.faults.rolling_restart import RollingRestart
from flametest.faults.safety import Radius
from flametest.faults.scaling import Scaling
from flametest.faults.selection import PodSelection
from flametest.faults.service_removal import ServiceRemoval
from flametest.faults.undo import UndoRecord, state_home
from flametest.faults.wrapper import Injected, InjectionOptions, Injector, applied
from flametest.kube import connect
from flametest.kube.execute import begin, execute
from flametest.model.events import Target

NAMESPACE = "flametest"
FAULTS: Mapping[str, Fault] = {
    "service-removal": ServiceRemoval(NAMESPACE, "logic"),
    "entry-removal": ServiceRemoval(NAMESPACE, "nginx"),
    "scaling": Scaling(NAMESPACE, "api", 4),
    "dependency-outage": DependencyOutage(NAMESPACE, "redis"),
    "network-partition": NetworkPartition(NAMESPACE, "logic", 8080),
    "intrusion": Intrusion(NAMESPACE, {"logic": 8080, "postgres": 5432}, ("nginx", 8080)),
    "bad-rollout": BadRollout(NAMESPACE, "api"),
    "node-drain": NodeDrain(NodeSelection(NAMESPACE, app="nginx")),
    "node-loss": NodeLoss(NodeSelection(NAMESPACE, app="nginx")),
    "random-errors": RandomErrors(NAMESPACE, "logic", HttpFaults(error_rate=0.3, latency_ms=60)),
    "fault-proxy": Edge(
        NAMESPACE,
        "logic",
        rules_of(HttpFaults(error_rate=0.2, abort_rate=0.1, latency_ms=60, error_statuses=(500, 503))),
        protocol="http",
    ),
    "new-version": NewVersion(NAMESPACE, "logic", environment={"VERSION": "2"}, annotations={"example.com/v": "2"}),
    "rolling-restart": RollingRestart(NAMESPACE, "api"),
    "dns-outage": DnsOutage(NAMESPACE, "frontend"),
    "edge-of-caller": Edge(
        NAMESPACE,
        "logic",
        (Rule(Effect(status=(503,)), Match(method="POST", path="/orders", first=3), of_caller=True),),
        "http",
        "http",
        "frontend",
    ),
    "edge-of-store": Edge(NAMESPACE, "redis", (Rule(Effect(delay_ms=60)),), 6379),
    "frozen-process": FrozenProcess(PodSelection(NAMESPACE, "app=redis")),
    "memory-hog": MemoryHog(PodSelection(NAMESPACE, "app=logic")),
    "cpu-hog": CpuHog(PodSelection(NAMESPACE, "app=logic")),
    "full-volume": FullVolume(PodSelection(NAMESPACE, "app=postgres"), "data"),
    "frozen-workers": FrozenProcess(PodSelection(NAMESPACE, "app=postgres")),
    "container-crash": ContainerCrash(PodSelection(NAMESPACE, "app=nginx")),
}


class Ending:
    """Ends the process at its step, in its way."""

    def __init__(self, step: str, way: str) -> None:
        self._step, self._way = step, way
        self.is_due = True
        self.sent = 0

    def reach(self, step: str) -> None:
        """Do nothing, or end."""
        if step != self._step or self._way == "end" or not self.is_due:
            return
        print(f"ending at {step}", flush=True)
        if self._way == "exception":
            raise RuntimeError(f"a probe failed at {step}")
        os.kill(os.getpid(), signal.Signals[self._way])
        signal.pause()

    def shown(self, fault: Fault, targets: tuple[Target, ...]) -> None:
        """Print the targets."""
        print(f"shown {fault.title}: {[target.name for target in targets]}", flush=True)

    def injected(self, injected: Injected) -> int:
        """End here if so asked."""
        self.reach("injected")
        return 1

    def proved(self, injection: int, fault: str, proof: Proof) -> None:
        """End here if so asked."""
        print(f"{'proved' if proof.proved else 'NOT proved'}: {proof.evidence}", flush=True)
        self.reach("proved")

    def healed(self, record: UndoRecord, healing: Healing) -> None:
        """Print what was done."""
        print(f"{'healed' if healing.healed else 'NOT healed'}: {healing.evidence}", flush=True)


def main(fault: str, step: str, way: str) -> None:
    """Inject, and end."""
    kubeconfig, context = os.environ["KUBECONFIG"], os.environ["KUBERNETES_CONTEXT"]
    ending = Ending(step, way)
    with connect(kubeconfig, context) as client:

        def stepping(send: Callable[..., Any]) -> Callable[..., Any]:
            def sending(*arguments: Any, **options: Any) -> Any:
                ending.reach("armed")
                answer = send(*arguments, **options)
                ending.reach("half")
                ending.sent += ending.is_due
                ending.reach(f"sent-{ending.sent}")
                return answer

            return sending

        client.api.send = stepping(client.api.send)  # type: ignore[method-assign]
        # Commands in containers that change something are steps as well.
        changing = stepping(execute)

        def executing(*arguments: Any, **options: Any) -> Any:
            return (changing if options.get("mutating") else execute)(*arguments, **options)

        vars(inside).update(execute=executing, begin=stepping(begin))
        vars(proxy_switch).update(execute=executing)  # where the API server does not reach the proxy
        radius = Radius(frozenset({NAMESPACE}), targets_max=12, pods_share_max=1, nodes_max=1)
        options = InjectionOptions(radius, Path(state_home(os.environ)), own_owner(os.environ))
        injector = Injector(client, place_of(client, kubeconfig, context), options, ending)
        *earlier, last = fault.split("+")
        ending.is_due = False
        for one in earlier:
            injector.inject(FAULTS[one])
        ending.is_due = True
        with applied(FAULTS[last], injector):
            print("the fault lasts", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
