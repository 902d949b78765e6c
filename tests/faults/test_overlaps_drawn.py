"""All pairs of faults, and triples drawn at random, on a cluster in a dictionary: any order of healing leaves it as is.

The real system under the same overlaps is in `tests.faults.test_overlap_on_sandbox`. Here programs and pods are left
out: what counts is what each fault writes into which object, and what its record leads back to.
"""

import copy
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from flametest.faults.bad_rollout import BadRollout
from flametest.faults.connection import Reach, Reached
from flametest.faults.dependency_outage import DependencyOutage
from flametest.faults.edge import Edge
from flametest.faults.edge_sharing import annotation, check_beside, join
from flametest.faults.errors import FaultError
from flametest.faults.network_partition import NetworkPartition
from flametest.faults.node_drain import NodeDrain
from flametest.faults.node_loss import NodeLoss
from flametest.faults.nodes import NodeSelection
from flametest.faults.protocol import Fault, State
from flametest.faults.proxy_parts import Route
from flametest.faults.safety import Radius
from flametest.faults.scaling import Scaling
from flametest.faults.service_removal import ServiceRemoval
from flametest.faults.undo import UndoJournal
from flametest.faults.vantage_pod import VantagePod
from flametest.faults.wrapper import Injector
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.resources import DEPLOYMENTS, NETWORK_POLICIES, NODES, PODS, SERVICES, Object
from flametest.kube.snapshots import snapshot
from flametest.model.events import Target
from tests.faults.conftest import NAMESPACE, pod
from tests.faults.test_holding import ME, injector, shop

__all__ = ["shop"]

TRIPLES = 200
ROUTE = Route("", 8080, 10080, 8080, 8080)


@dataclass(frozen=True, slots=True)
class LedEdge(Edge):
    """An edge without its program: the proxy's Deployment is made, and the Service led to it."""

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the Service."""
        return ServiceRemoval(self.namespace, self.service).targets(client)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the Service as it is without a proxy."""
        service, others = self._without_proxy(client)
        check_beside(self._sharer((ROUTE,)), others)
        kept = {"namespace": self.namespace, "service": snapshot(service), "uid": targets[0].uid}
        return kept | {"edge": self.key, "beside": sorted(others)}

    def prepare(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Make the proxy, and lead the Service to it; or join the edge that has made it."""
        service, others = self._without_proxy(client)
        sharer = self._sharer((ROUTE,))
        if others:
            join(client, self.front, sharer)
            return
        origin = self.front.origin_service(service, (ROUTE,))
        origin["metadata"]["annotations"] = annotation({sharer.key: sharer})
        client.api.send("POST", SERVICES.path(self.namespace), origin)
        made = {"metadata": {"name": self.front.proxy, "namespace": self.namespace}, "spec": {}}
        client.api.send("POST", DEPLOYMENTS.path(self.namespace), made)
        path = SERVICES.path(self.namespace, self.service)
        client.api.send("PATCH", path, self.front.repointed(client.api.get(path), (ROUTE,)), content_type=MERGE)

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Do nothing: it would turn the rules on."""


FAULTS: dict[str, Fault] = {
    "scaled up": Scaling(NAMESPACE, "api", 5),
    "scaled down": Scaling(NAMESPACE, "api", 1),
    "api away": DependencyOutage(NAMESPACE, "api", "Deployment"),
    "logic away": DependencyOutage(NAMESPACE, "logic", "Deployment"),
    "bad image": BadRollout(NAMESPACE, "api", "api:bad"),
    "worse image": BadRollout(NAMESPACE, "api", "api:worse"),
    "Service removed": ServiceRemoval(NAMESPACE, "logic"),
    "edge": LedEdge(NAMESPACE, "logic", ()),
    "edge again": LedEdge(NAMESPACE, "logic", (), caller="api"),
    "partition": NetworkPartition(NAMESPACE, "logic", 8080),
    "drained": NodeDrain(NodeSelection(NAMESPACE, "node-9")),
    "drained again": NodeDrain(NodeSelection(NAMESPACE, "node-9"), 30),
    "lost": NodeLoss(NodeSelection(NAMESPACE, "node-9")),
}


@pytest.fixture
def system(shop: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two Deployments with pods, a Service and a policy for one of them, and a node without pods."""
    monkeypatch.setattr(VantagePod, "start", lambda *_: Reached(Reach.CONNECTED))
    for name, count in (("api", 3), ("logic", 2)):
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": f"{name}:1"}]}}
        spec = {"replicas": count, "selector": {"matchLabels": labels}, "template": template}
        made = shop.api.put(DEPLOYMENTS, {"metadata": {"name": name}, "spec": spec})
        for number in range(count):
            one = pod(f"{name}-{number}", name)
            one["metadata"]["ownerReferences"][0]["uid"] = made["metadata"]["uid"]
            shop.api.put(PODS, one)
    service = {"selector": {"app": "logic"}, "clusterIP": "10.9.0.1", "ports": [{"port": 8080, "targetPort": 8080}]}
    shop.api.put(SERVICES, {"metadata": {"name": "logic"}, "spec": service})
    admitting = {
        "podSelector": {"matchLabels": {"app": "logic"}},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": []}],
    }
    shop.api.put(NETWORK_POLICIES, {"metadata": {"name": "logic"}, "spec": admitting})
    for node in ("node-8", "node-9"):
        shop.api.put(NODES, {"metadata": {"name": node}, "spec": {"providerID": f"sandbox://{node}"}})
    return shop


def specifications(client: Any) -> dict[str, Object]:
    """Return all that a fault could have changed: everything but what is new with each creation."""
    kept = {}
    for path, one in copy.deepcopy(client.api.objects).items():
        labels, annotations = (one["metadata"].get(key) or {} for key in ("labels", "annotations"))
        kept[path] = {"labels": labels, "annotations": annotations, "spec": one.get("spec")}
    return kept


def allowing(client: Any, home: Path) -> Injector:
    injecting = injector(client, home, ME)
    radius = Radius(frozenset({NAMESPACE}), targets_max=30, nodes_max=3)
    injecting._account._radius = radius
    injecting._options = replace(injecting._options, radius=radius)
    return injecting


def overlap(client: Any, home: Path, faults: Sequence[Fault], order: Sequence[int]) -> list[str]:
    """Inject faults one after another, and heal them one by one in an order; return why some were refused."""
    injecting, records, refused = allowing(client, home), [], []
    for fault in faults:
        untouched = specifications(client)
        try:
            armed = injecting.arm(fault)
        except FaultError as error:
            refused.append(error.message)
            records.append("")
            assert specifications(client) == untouched
            continue
        fault.inject(client, armed.targets)
        injecting.injected(armed)
        records.append(armed.record)
    for place in order:
        healed = injecting.heal({records[place]}) if records[place] else ()
        assert all(one.healed for one in healed), healed
    assert UndoJournal(home).records() == ((), ())
    return refused


def test_any_two_faults_are_healed_in_either_order_or_the_second_one_is_refused(system: Any, tmp_path: Path) -> None:
    before, refused = specifications(system), {}
    numbers = itertools.count()
    for pair in itertools.permutations(FAULTS, 2):
        for order in ((0, 1), (1, 0)):
            told = overlap(system, tmp_path / str(next(numbers)), [FAULTS[name] for name in pair], order)
            assert specifications(system) == before, (pair, order)
            if told:
                refused[pair] = told[0]
    removed = "Service removed"
    assert set(refused) == {(removed, "edge"), (removed, "edge again")}, refused
    assert "holds no Service 'logic'" in refused[removed, "edge"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(2))))
def test_a_service_under_two_edges_is_not_removed_and_one_of_them_again_is_refused(
    system: Any, tmp_path: Path, order: tuple[int, int]
) -> None:
    before = specifications(system)
    faults = [FAULTS[name] for name in ("edge", "edge again", "Service removed", "edge")]
    removal, again = overlap(system, tmp_path, faults, order)
    assert "2 faults of this experiment share what is in front of it" in removal
    assert "the same edge is already active" in again
    assert specifications(system) == before


def test_a_proxy_that_another_experiment_has_left_is_not_shared(system: Any, tmp_path: Path) -> None:
    overlapping = FAULTS["edge"]
    assert isinstance(overlapping, LedEdge)
    overlapping.prepare(system, overlapping.targets(system))
    with pytest.raises(FaultError, match="a fault proxy that this experiment knows nothing about"):
        allowing(system, tmp_path).arm(FAULTS["edge again"])


def test_triples_drawn_at_random_are_healed_in_an_order_drawn(
    system: Any, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    seed = random.SystemRandom().randrange(2**31)
    print(f"seed {seed}")
    record_property("seed", seed)
    drawing, before, refused = random.Random(seed), specifications(system), 0
    for number in range(TRIPLES):
        names, order = drawing.sample(sorted(FAULTS), 3), drawing.sample(range(3), 3)
        refused += len(overlap(system, tmp_path / str(number), [FAULTS[name] for name in names], order))
        assert specifications(system) == before, (seed, number, names, order)
    assert refused < TRIPLES
