"""Healing what was injected by half, healed already, changed by hand, deleted, or created again meanwhile."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flametest.faults.bad_rollout import BadRollout
from flametest.faults.catalogue import FAULTS, FORMER, HEALERS
from flametest.faults.connection import Reach, Reached
from flametest.faults.errors import FaultError, HealError
from flametest.faults.healing import heal_all
from flametest.faults.network_partition import NetworkPartition
from flametest.faults.node_drain import NodeDrain
from flametest.faults.node_loss import NodeLoss
from flametest.faults.nodes import NodeSelection
from flametest.faults.owner import Owner, own_name
from flametest.faults.policies import admitting, deny, put_back
from flametest.faults.protocol import Fault
from flametest.faults.scaling import Scaling
from flametest.faults.service_removal import ServiceRemoval
from flametest.faults.undo import Place, UndoJournal, UndoRecord
from flametest.faults.vantage_pod import VantagePod
from flametest.kube.errors import ApiRejectedError, ConflictError
from flametest.kube.resources import DEPLOYMENTS, NETWORK_POLICIES, NODES, SERVICES
from flametest.model.events import Target

NS = "flametest"


def deployment(client: Any) -> Any:
    template = {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [{"name": "api", "image": "api:1"}]}}
    selector = {"matchLabels": {"app": "api"}}
    spec = {"replicas": 3, "selector": selector, "template": template}
    return client.api.put(DEPLOYMENTS, {"metadata": {"name": "api"}, "spec": spec})


def service(client: Any) -> Any:
    ports = [{"port": 80, "nodePort": 30080}]
    spec: Any = {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "ports": ports}
    spec |= {"selector": {"app": "nginx"}, "type": "NodePort"}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "nginx"}, "spec": spec}
    return client.api.put(SERVICES, body)


def node(client: Any) -> Any:
    client.api.put(NODES, {"metadata": {"name": "node-2"}, "spec": {"providerID": "sandbox://node-2"}})
    return client.api.put(NODES, {"metadata": {"name": "node-1"}, "spec": {"providerID": "sandbox://node-1"}})


CASES: dict[str, tuple[Fault, Callable[[Any], Any]]] = {
    "scaling": (Scaling(NS, "api", 0), deployment),
    "bad rollout": (BadRollout(NS, "api"), deployment),
    "service removal": (ServiceRemoval(NS, "nginx"), service),
    "node drain": (NodeDrain(NodeSelection(NS, "node-1")), node),
    "node loss": (NodeLoss(NodeSelection(NS, "node-1")), node),
}


@pytest.fixture(autouse=True)
def nobody_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no pod be asked to connect: pods in a dictionary cannot; those of the sandbox are."""
    monkeypatch.setattr(VantagePod, "start", lambda *_: Reached(Reach.UNKNOWN, "nobody was asked"))


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, client: Any) -> tuple[Fault, Any]:
    fault, make = CASES[request.param]
    make(client)
    return fault, client


def recorded(fault: Fault, client: Any) -> tuple[tuple[Target, ...], dict[str, Any]]:
    targets = tuple(one for one in fault.targets(client) if one.kind != "Pod")
    return targets, fault.record(client, targets)


def without_uids(objects: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {path: {key: obj.get(key) for key in ("spec",)} for path, obj in objects.items()}
    return {path: {k: v for k, v in (one["spec"] or {}).items() if v not in (None, {})} for path, one in kept.items()}


def test_a_fault_is_healed_and_healing_again_is_harmless(case: tuple[Fault, Any]) -> None:
    fault, client = case
    before = without_uids(client.api.objects)
    targets, state = recorded(fault, client)
    fault.inject(client, targets)
    first = HEALERS[fault.name](client, state)
    assert without_uids(client.api.objects) == before
    sent = list(client.api.sent)
    second = HEALERS[fault.name](client, state)
    assert first != second
    assert without_uids(client.api.objects) == before
    assert [one for one in client.api.sent[len(sent) :] if one[0] != "POST"] == []


def test_a_fault_that_was_never_injected_is_healed_without_a_change(case: tuple[Fault, Any]) -> None:
    fault, client = case
    before = without_uids(client.api.objects)
    _, state = recorded(fault, client)
    HEALERS[fault.name](client, state)
    assert without_uids(client.api.objects) == before


def test_targets_and_records_send_nothing_that_changes_the_cluster(case: tuple[Fault, Any]) -> None:
    fault, client = case
    recorded(fault, client)
    assert client.api.sent == []


def test_a_count_that_somebody_else_has_set_meanwhile_is_left_so(client: Any) -> None:
    found = deployment(client)
    fault = Scaling(NS, "api", 0)
    targets, state = recorded(fault, client)
    fault.inject(client, targets)
    found["spec"]["replicas"] = 7
    told = Scaling.heal(client, state)
    assert "was set to 7 by somebody else in the meantime, and is left as it is; it had 3" in told
    assert found["spec"]["replicas"] == 7


def test_a_workload_that_was_made_anew_meanwhile_is_left_alone(client: Any) -> None:
    found = deployment(client)
    fault = Scaling(NS, "api", 0)
    targets, state = recorded(fault, client)
    fault.inject(client, targets)
    found["metadata"]["uid"] = "uid-of-another"
    assert "was recreated by somebody else" in Scaling.heal(client, state)
    assert found["spec"]["replicas"] == 0


def test_a_rollout_is_tried_again_when_the_deployment_has_changed_since_it_was_read(client: Any) -> None:
    found, send = deployment(client), client.api.send
    conflicts = iter([ConflictError("the object has been modified", code=409)] * 2)

    def busy(*arguments: Any, **options: Any) -> Any:
        if (conflict := next(conflicts, None)) is not None:
            raise conflict
        return send(*arguments, **options)

    client.api.send = busy
    BadRollout(NS, "api").inject(client, ())
    assert found["spec"]["template"]["spec"]["containers"][0]["image"].startswith("127.0.0.1:9/")


def test_an_image_that_somebody_else_has_rolled_out_meanwhile_is_left_so(client: Any) -> None:
    found = deployment(client)
    fault = BadRollout(NS, "api")
    targets, state = recorded(fault, client)
    fault.inject(client, targets)
    found["spec"]["template"]["spec"]["containers"][0]["image"] = "api:2"
    assert "changed to the image api:2 by somebody else" in BadRollout.heal(client, state)


def test_a_service_comes_back_with_its_address_and_node_port(client: Any) -> None:
    service(client)
    fault = ServiceRemoval(NS, "nginx")
    targets, state = recorded(fault, client)
    fault.inject(client, targets)
    assert ServiceRemoval.heal(client, state) == "Service nginx was created again as it was, at its address 10.96.0.7"
    made = client.api.get(SERVICES.path(NS, "nginx"))
    assert made["spec"]["ports"][0]["nodePort"] == 30080
    assert "creationTimestamp" not in made["metadata"]


def test_a_service_whose_address_was_taken_gets_another_one_and_that_is_told(client: Any) -> None:
    service(client)
    fault = ServiceRemoval(NS, "nginx")
    targets, state = recorded(fault, client)
    fault.inject(client, targets)
    send = client.api.send

    def taken(method: str, path: str, body: Any = None, **options: Any) -> Any:
        if method == "POST" and body["spec"].get("clusterIP") == "10.96.0.7":
            raise ApiRejectedError("provided IP is already allocated", code=422)
        if method == "POST":
            assert "clusterIPs" not in body["spec"]
            body = body | {"spec": body["spec"] | {"clusterIP": "10.96.0.9"}}
        return send(method, path, body, **options)

    client.api.send = taken
    for told in ("was created again, but not as it was", "is there, but not as it was"):
        with pytest.raises(HealError, match=told) as caught:
            ServiceRemoval.heal(client, state)
        assert "spec.clusterIP: was 10.96.0.7, is 10.96.0.9" in caught.value.message


def test_a_service_that_somebody_else_has_made_meanwhile_is_left_so(client: Any) -> None:
    service(client)
    fault = ServiceRemoval(NS, "nginx")
    targets, state = recorded(fault, client)
    fault.inject(client, targets)
    service(client)["spec"]["selector"] = {"app": "another"}
    told = ServiceRemoval.heal(client, state)
    assert (
        "was recreated by somebody else in the meantime, and is left as it is: spec.selector.app: was nginx, is another"
    ) in told


def test_a_service_that_is_there_again_as_it_was_is_healed_whoever_has_created_it(client: Any) -> None:
    service(client)
    fault = ServiceRemoval(NS, "nginx")
    targets, state = recorded(fault, client)
    fault.inject(client, targets)
    service(client)
    assert ServiceRemoval.heal(client, state) == "Service nginx is there again, as it was, at its address 10.96.0.7"


def test_a_node_that_was_cordoned_before_stays_so(client: Any) -> None:
    node(client)["spec"]["unschedulable"] = True
    fault = NodeDrain(NodeSelection(NS, "node-1"))
    targets, state = recorded(fault, client)
    fault.inject(client, targets)
    assert NodeDrain.heal(client, state) == "node node-1 takes no pods, as before"


def test_a_node_that_is_not_of_the_sandbox_cannot_be_lost(client: Any) -> None:
    node(client)["spec"]["providerID"] = "aws:///i-1"
    fault = NodeLoss(NodeSelection(NS, "node-1"))
    with pytest.raises(FaultError, match="no API of Kubernetes stops a machine"):
        recorded(fault, client)


def policy(client: Any, name: str, labels: dict[str, str]) -> Any:
    spec = {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress"], "ingress": [{"ports": [{"port": 80}]}]}
    return client.api.put(NETWORK_POLICIES, {"metadata": {"name": name}, "spec": spec})


def uids(client: Any) -> set[str]:
    pods = client.api.get("/api/v1/namespaces/flametest/pods")["items"]
    return {one["metadata"]["uid"] for one in pods}


def test_a_partition_empties_the_policies_that_admit_and_puts_their_rules_back(client: Any) -> None:
    kept = policy(client, "api", {"app": "api"})
    (found,) = admitting(client, NS, uids(client))
    deny(client, NS, "api", {"matchLabels": {"app": "api"}}, ["api"])
    assert kept["spec"]["ingress"] == []
    assert client.api.get(NETWORK_POLICIES.path(NS, "flametest-partition-api"))["spec"]["ingress"] == []
    rules = {"api": found["spec"]["ingress"]}
    put_back(client, NS, "api", rules)
    put_back(client, NS, "api", rules)
    assert kept["spec"]["ingress"] == [{"ports": [{"port": 80}]}]
    assert NETWORK_POLICIES.path(NS, "flametest-partition-api") not in client.api.objects


def test_a_policy_that_was_changed_or_deleted_meanwhile_is_left_so(client: Any) -> None:
    kept = policy(client, "api", {"app": "api"})
    deny(client, NS, "api", {"matchLabels": {"app": "api"}}, ["api"])
    kept["spec"]["ingress"] = [{"ports": [{"port": 81}]}]
    told = put_back(client, NS, "api", {"api": [{"ports": [{"port": 80}]}], "gone": []})
    assert "NetworkPolicy api was changed by somebody else" in told
    assert "NetworkPolicy gone is gone" in told


def test_a_policy_that_admits_to_other_pods_as_well_is_not_emptied(client: Any) -> None:
    policy(client, "everybody", {})
    one = min(uids(client))
    with pytest.raises(FaultError, match="admits to 2 other pods as well"):
        admitting(client, NS, {one})


def test_a_partition_of_nobody_in_particular_is_refused(client: Any) -> None:
    with pytest.raises(FaultError, match="every pod of the namespace would be meant"):
        NetworkPartition(NS, " ", 80).targets(client)


def record(number: int, fault: str, state: dict[str, Any], uid: str = "") -> UndoRecord:
    target = Target("Deployment", NS, f"api-{number}", f"uid-of-{number}")
    place = Place("/kubeconfig", "sandbox", uid)
    return UndoRecord(f"{number}", fault, f"fault {number}", (target,), state, place, Owner(own_name(), None), 0.0)


def test_each_is_healed_also_when_another_cannot_be(client: Any, tmp_path: Path) -> None:
    deployment(client)["spec"]["replicas"] = 0
    _, state = recorded(Scaling(NS, "api", 0), client)
    journal = UndoJournal(tmp_path)
    records = [
        record(1, "of-another-version", {}),
        record(2, "scaling", {}),
        record(3, "scaling", state | {"before": 3}),
    ]
    for one in records:
        journal.write(one)
    unknown, broken, healed = heal_all(journal, records, lambda *_: client)
    assert (unknown.healed, broken.healed, healed.healed) == (False, False, True)
    assert "no fault is called 'of-another-version'" in unknown.evidence
    assert unknown.remedy == "heal it by the version of Flametest that injected it, or by hand"
    assert "KeyError" in broken.evidence
    assert journal.records()[0] == (records[1], records[0])


def test_a_record_that_somebody_else_has_healed_is_passed_over(client: Any, tmp_path: Path) -> None:
    assert heal_all(UndoJournal(tmp_path), [record(1, "scaling", {})], lambda *_: client) == ()


def test_faults_have_names_of_their_own_and_those_that_last_can_be_healed() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names)
    assert {fault.name for fault in FAULTS if fault.lasts} == set(HEALERS) - set(FORMER)
    assert not set(FORMER) & set(names)
