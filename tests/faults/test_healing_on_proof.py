"""An error is never an answer: what cannot be asked stays unhealed, and its record stays."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flametest.faults.edge import Edge
from flametest.faults.errors import FaultError
from flametest.faults.healing import Bounds, cluster_uid, heal_all
from flametest.faults.node_drain import NodeDrain
from flametest.faults.nodes import NodeSelection
from flametest.faults.owner import Owner, own_name
from flametest.faults.proxy_parts import Front
from flametest.faults.readback import standing
from flametest.faults.scaling import Scaling
from flametest.faults.service_removal import ServiceRemoval
from flametest.faults.undo import Place, UndoJournal, UndoRecord
from flametest.kube.errors import ApiRejectedError, ApiUnreachableError, KubeError, NotFoundError, rejection
from flametest.kube.resources import DEPLOYMENTS, NAMESPACES, NETWORK_POLICIES, NODES, SERVICES
from flametest.kube.snapshots import snapshot
from flametest.model.events import Target
from tests.faults.conftest import NAMESPACE, absent

KUBE_SYSTEM = NAMESPACES.path(name="kube-system")
REFUSALS = {
    "401": ApiRejectedError("Unauthorized", code=401, reason="Unauthorized"),
    "403": ApiRejectedError("forbidden", code=403, reason="Forbidden"),
    "403 of a proxy": ApiRejectedError("<html>no</html>", code=403),
    "404 of a proxy": NotFoundError("404 page not found", code=404),
    "404 of an unknown path": NotFoundError("the server could not find", code=404, reason="NotFound"),
    "404 of another name": NotFoundError("not found", code=404, reason="NotFound", subject="another"),
    "429": ApiRejectedError("too many requests", code=429, reason="TooManyRequests"),
    "500": ApiRejectedError("internal", code=500, reason="InternalError"),
    "503": ApiRejectedError("unavailable", code=503, reason="ServiceUnavailable"),
    "no answer": ApiUnreachableError("connection reset"),
    "no Kubernetes": KeyError("metadata"),
}


@pytest.fixture
def scaled(client: Any, tmp_path: Path) -> tuple[Any, UndoJournal, UndoRecord]:
    """A Deployment that was scaled from 3 to 1, with its record, in a cluster that tells its uid."""
    client.api.put(NAMESPACES, {"metadata": {"name": "kube-system", "uid": "this-cluster"}})
    labels = {"metadata": {"labels": {"app": "api"}}}
    client.api.put(DEPLOYMENTS, {"metadata": {"name": "api"}, "spec": {"replicas": 3, "template": labels}})
    fault = Scaling(NAMESPACE, "api", 1)
    targets = fault.targets(client)
    record = recorded(fault.name, fault.record(client, targets), targets, cluster_uid(client))
    fault.inject(client, targets)
    journal = UndoJournal(tmp_path)
    journal.write(record)
    return client, journal, record


def recorded(
    name: str, state: dict[str, Any], targets: tuple[Target, ...], cluster: str, number: int = 1
) -> UndoRecord:
    place = Place("/kubeconfig", "context", cluster)
    return UndoRecord(f"{number:020d}-1-{name}", name, name, targets, state, place, Owner(own_name(), None), 0.0)


def replicas(client: Any) -> int:
    return int(client.api.objects[DEPLOYMENTS.path(NAMESPACE, "api")]["spec"]["replicas"])


def failing(client: Any, monkeypatch: pytest.MonkeyPatch, path: str, error: Exception) -> None:
    """Let the API answer one path with an error."""
    get = client.api.get

    def answer(asked: str, *arguments: Any, **options: Any) -> Any:
        if asked == path:
            raise error
        return get(asked, *arguments, **options)

    monkeypatch.setattr(client.api, "get", answer)


@pytest.mark.parametrize("path", [KUBE_SYSTEM, NAMESPACES.path(name=NAMESPACE), DEPLOYMENTS.path(NAMESPACE, "api")])
@pytest.mark.parametrize("error", REFUSALS.values(), ids=REFUSALS)
def test_an_error_keeps_the_record_until_the_api_answers(
    scaled: tuple[Any, UndoJournal, UndoRecord], monkeypatch: pytest.MonkeyPatch, path: str, error: Exception
) -> None:
    client, journal, record = scaled
    with monkeypatch.context() as patched:
        failing(client, patched, path, error)
        (healing,) = heal_all(journal, [record], lambda *_: client)
    assert not healing.healed
    assert journal.has(record)
    assert replicas(client) == 1
    (healing,) = heal_all(journal, [record], lambda *_: client)
    assert healing.healed, healing.evidence
    assert not journal.has(record)
    assert replicas(client) == 3


def test_a_uid_that_was_read_and_differs_is_another_cluster(scaled: tuple[Any, UndoJournal, UndoRecord]) -> None:
    client, journal, record = scaled
    client.api.objects[KUBE_SYSTEM]["metadata"]["uid"] = "another-cluster"
    (healing,) = heal_all(journal, [record], lambda *_: client)
    assert healing.healed
    assert "another cluster answers in the place" in healing.evidence
    assert replicas(client) == 1


def test_a_cluster_that_does_not_know_kube_system_any_more_is_not_another_one(
    scaled: tuple[Any, UndoJournal, UndoRecord],
) -> None:
    client, journal, record = scaled
    del client.api.objects[KUBE_SYSTEM]
    (healing,) = heal_all(journal, [record], lambda *_: client)
    assert not healing.healed
    assert "so it cannot be identified" in healing.evidence
    assert journal.has(record)


def test_a_user_who_may_not_read_kube_system_heals_by_the_uids_of_namespace_and_object(
    scaled: tuple[Any, UndoJournal, UndoRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, journal, record = scaled
    failing(client, monkeypatch, KUBE_SYSTEM, REFUSALS["403"])
    assert cluster_uid(client) == ""
    blind = recorded("scaling", record.state, record.targets, "", 2)
    journal.remove(record)
    journal.write(blind)
    (healing,) = heal_all(journal, [blind], lambda *_: client)
    assert healing.healed, healing.evidence
    assert replicas(client) == 3


@pytest.mark.parametrize("kind", [kind for kind in REFUSALS if kind != "403"])
def test_only_a_missing_right_leaves_a_record_without_the_uid_of_its_cluster(
    client: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    failing(client, monkeypatch, KUBE_SYSTEM, REFUSALS[kind])
    with pytest.raises((KubeError, KeyError)):
        cluster_uid(client)


def test_a_namespace_of_the_same_name_that_came_later_is_another_one(
    scaled: tuple[Any, UndoJournal, UndoRecord], tmp_path: Path
) -> None:
    client, journal, record = scaled
    uid = client.api.objects[NAMESPACES.path(name=NAMESPACE)]["metadata"]["uid"]
    known = replace(record, namespaces={NAMESPACE: uid})
    journal.remove(record)
    journal.write(known)
    client.api.objects[NAMESPACES.path(name=NAMESPACE)]["metadata"]["uid"] = "of-its-successor"
    assert journal.records()[0] == (known,)
    (healing,) = heal_all(journal, [known], lambda *_: client)
    assert healing.healed
    assert "another one has its name" in healing.evidence
    assert replicas(client) == 1


def test_a_node_outlives_the_namespaces_of_its_pods(client: Any, tmp_path: Path) -> None:
    for node in ("node-1", "node-2"):
        client.api.put(NODES, {"metadata": {"name": node}, "spec": {}})
    fault = NodeDrain(NodeSelection(NAMESPACE, "node-1"))
    targets = fault.targets(client)
    state = fault.record(client, targets)
    pod = Target("Pod", NAMESPACE, "api-0", "uid-of-a-pod")
    record, journal = recorded(fault.name, state, (*targets, pod), ""), UndoJournal(tmp_path)
    journal.write(record)
    client.api.objects[NODES.path(name="node-1")]["spec"]["unschedulable"] = True
    del client.api.objects[NAMESPACES.path(name=NAMESPACE)]
    (healing,) = heal_all(journal, [record], lambda *_: client)
    assert healing.evidence == "node node-1 takes pods again"


def test_what_is_being_deleted_is_not_there_and_is_waited_for(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"clusterIP": "10.96.0.7", "selector": {"app": "logic"}, "ports": [{"port": 80}]}
    kept = client.api.put(SERVICES, {"metadata": {"name": "logic", "finalizers": ["a/b"]}, "spec": spec})
    fault = ServiceRemoval(NAMESPACE, "logic")
    state = fault.record(client, fault.targets(client))
    kept["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    path, looks, get = SERVICES.path(NAMESPACE, "logic"), [0], client.api.get

    def answer(asked: str, query: Any = None) -> Any:
        looks[0] += asked == path
        if looks[0] == 3:
            client.api.objects.pop(path, None)
            looks[0] += 1
        return get(asked, query)

    monkeypatch.setattr(client.api, "get", answer)
    assert ServiceRemoval.heal(client, state) == "Service logic was created again as it was, at its address 10.96.0.7"
    made = client.api.objects[path]
    assert (made["metadata"]["finalizers"], made["spec"]) == (["a/b"], spec)


@pytest.mark.parametrize("resource", [SERVICES, DEPLOYMENTS, NODES, NAMESPACES], ids=lambda one: one.kind)
def test_what_stays_in_deletion_is_not_healed(client: Any, monkeypatch: pytest.MonkeyPatch, resource: Any) -> None:
    monkeypatch.setattr("flametest.faults.readback.ENDING_SECONDS_MAX", 0.2)
    metadata = {"name": "one", "finalizers": ["a/b"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    client.api.put(resource, {"metadata": metadata, "spec": {}})
    with pytest.raises(Exception, match=r"is being deleted, and is still there after .*, held by the finalizers a/b"):
        standing(client, resource, NAMESPACE if resource.namespaced else "", "one")


def test_a_node_that_somebody_has_uncordoned_meanwhile_is_left_so(client: Any) -> None:
    client.api.put(NODES, {"metadata": {"name": "node-2"}, "spec": {}})
    node = client.api.put(NODES, {"metadata": {"name": "node-1"}, "spec": {"unschedulable": True}})
    fault = NodeDrain(NodeSelection(NAMESPACE, "node-1"))
    targets = tuple(one for one in fault.targets(client) if one.kind == "Node")
    state = fault.record(client, targets)
    fault.inject(client, targets)
    node["spec"].pop("unschedulable")
    sent = len(client.api.sent)
    told = NodeDrain.heal(client, state)
    assert told == "node node-1 takes pods: it was uncordoned by somebody else in the meantime, and is left as it is"
    assert client.api.sent[sent:] == []


@pytest.mark.parametrize(
    ("spec", "status", "told"),
    [
        (
            {"type": "LoadBalancer", "selector": {"app": "x"}},
            {"ingress": [{"ip": "192.0.2.1"}]},
            "load balancer address",
        ),
        ({"type": "ClusterIP", "clusterIP": "10.96.0.7"}, {}, "has no selector"),
    ],
)
def test_a_service_that_would_not_come_back_as_it_was_is_refused(
    client: Any, spec: dict[str, Any], status: dict[str, Any], told: str
) -> None:
    client.api.put(SERVICES, {"metadata": {"name": "logic"}, "spec": spec, "status": {"loadBalancer": status}})
    with pytest.raises(Exception, match=told) as caught:
        ServiceRemoval(NAMESPACE, "logic").targets(client)
    assert getattr(caught.value, "remedy", "")


def test_what_was_sent_and_not_read_back_is_not_healed(
    scaled: tuple[Any, UndoJournal, UndoRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, journal, record = scaled
    # An admission webhook, or a proxy, that answers well and does nothing.
    monkeypatch.setattr(client.api, "send", lambda *_, **__: {"metadata": {"name": "api"}})
    (healing,) = heal_all(journal, [record], lambda *_: client)
    assert not healing.healed
    assert "it is to have 1 pod, 3 before" in healing.evidence
    assert journal.has(record)


def test_the_status_tells_of_which_object_it_is() -> None:
    body = b'{"kind":"Status","reason":"NotFound","message":"gone","details":{"name":"logic","kind":"services"}}'
    error = rejection(404, body, "GET /x")
    assert isinstance(error, NotFoundError)
    assert error.is_absence_of("logic")
    assert not error.is_absence_of("api")
    assert not absent("GET", "/x/api").is_absence_of("logic")


class Hanging:
    """A credential program that hangs until the test is over."""

    def __init__(self) -> None:
        self.end = threading.Event()

    def connect(self, *_: str) -> Any:
        """Hang."""
        self.end.wait(60)
        raise ApiUnreachableError("the test is over")


def test_a_cluster_whose_credentials_hang_is_told_and_others_are_healed_meanwhile(
    scaled: tuple[Any, UndoJournal, UndoRecord],
) -> None:
    client, journal, record = scaled
    place = Place("/hanging", "context", "x")
    stuck = [
        UndoRecord(f"{number:020d}-1-x", "scaling", f"stuck {number}", (), {}, place, record.owner, 0.0)
        for number in (9, 8)
    ]
    for one in stuck:
        journal.write(one)
    hanging, bounds = Hanging(), Bounds(0.0, answer_seconds=0.5)
    try:
        found = heal_all(
            journal,
            [*stuck, record],
            lambda kubeconfig, context: hanging.connect() if kubeconfig == "/hanging" else client,
            bounds,
        )
        assert [one.healed for one in found] == [False, False, True]
        assert "did not answer within 0.5 s" in found[0].evidence
        assert "did not answer for a fault that came later" in found[1].evidence
        # Whoever hangs keeps its claim, and nothing else: the next one is told so.
        (again,) = heal_all(journal, [stuck[0]], hanging.connect, bounds)
        assert "is healing it, and has not finished" in again.evidence
        with journal.locked():
            assert journal.has(stuck[0])
    finally:
        hanging.end.set()


def test_two_healers_do_not_heal_one_record_at_the_same_time(scaled: tuple[Any, UndoJournal, UndoRecord]) -> None:
    client, journal, record = scaled
    inside, go_on, connected = threading.Event(), threading.Event(), []

    def slowly(*_: str) -> Any:
        connected.append(time.monotonic())
        inside.set()
        go_on.wait(30)
        return client

    found: list[Any] = []
    first = threading.Thread(target=lambda: found.append(heal_all(journal, [record], slowly)))
    first.start()
    assert inside.wait(30)
    second = threading.Thread(target=lambda: found.append(heal_all(journal, [record], slowly)))
    second.start()
    (impatient,) = heal_all(journal, [record], slowly, Bounds(claim_seconds=0.0))
    assert not impatient.healed
    go_on.set()
    first.join(30)
    second.join(30)
    assert sorted(map(len, found)) == [0, 1]
    assert len(connected) == 1
    assert replicas(client) == 3


def test_an_older_fault_on_the_same_object_waits_until_the_later_one_is_healed(
    scaled: tuple[Any, UndoJournal, UndoRecord],
) -> None:
    client, journal, record = scaled
    fault = Scaling(NAMESPACE, "api", 5)
    targets = fault.targets(client)
    later = recorded(fault.name, fault.record(client, targets), targets, "this-cluster", 2)
    journal.write(later)
    fault.inject(client, targets)
    (healing,) = heal_all(journal, [record], lambda *_: client)
    assert not healing.healed
    assert "came later to the same object" in healing.evidence
    found = heal_all(journal, journal.records()[0], lambda *_: client)
    assert [one.healed for one in found] == [True, True]
    assert replicas(client) == 3


def test_nothing_is_injected_into_what_somebody_else_is_deleting(client: Any) -> None:
    labels = {"metadata": {"labels": {"app": "api"}}}
    metadata = {"name": "api", "finalizers": ["a/b"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    client.api.put(DEPLOYMENTS, {"metadata": metadata, "spec": {"replicas": 3, "template": labels}})
    with pytest.raises(FaultError, match="Deployment api is being deleted by somebody else"):
        Scaling(NAMESPACE, "api", 1).targets(client)


OLDER: dict[str, tuple[Any, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "bad_rollout": (
        DEPLOYMENTS,
        {"template": {"spec": {"containers": [{"name": "api", "image": "bad:0"}, {"name": "b", "image": "b:1"}]}}},
        {"containers": [{"name": "api", "image": "api:1"}, {"name": "b", "image": "b:1"}], "image": "bad:0"},
        {"template": {"spec": {"containers": [{"name": "api", "image": "api:1"}, {"name": "b", "image": "b:1"}]}}},
    ),
    "network_partition": (
        NETWORK_POLICIES,
        {"podSelector": {}, "ingress": []},
        {"app": "api", "rules": {"one": [{"ports": [{"port": 80}]}]}},
        {"podSelector": {}, "ingress": [{"ports": [{"port": 80}]}]},
    ),
    "node_drain": (NODES, {"unschedulable": True}, {"node": "one", "cordoned": False}, {}),
    "scaling": (DEPLOYMENTS, {"replicas": 0}, {"kind": "Deployment", "before": 3, "injected": 0}, {"replicas": 3}),
}


@pytest.mark.parametrize("fault", OLDER)
def test_a_record_of_an_older_version_is_healed(client: Any, tmp_path: Path, fault: str) -> None:
    resource, spec, state, expected = OLDER[fault]
    obj = client.api.put(resource, {"metadata": {"name": "one"}, "spec": spec})
    place = {"namespace": NAMESPACE, "name": "one", "uid": obj["metadata"]["uid"]}
    target = Target(resource.kind, NAMESPACE if resource.namespaced else "", "one", obj["metadata"]["uid"])
    journal = UndoJournal(tmp_path)
    journal.write(recorded(fault, place | state, (target,), ""))
    (file,) = journal.folder.glob("*.json")
    document = json.loads(file.read_text())
    del document["namespaces"]
    file.write_text(json.dumps(document))
    (healing,) = heal_all(journal, journal.records()[0], lambda *_: client)
    assert healing.healed, healing.evidence
    assert client.api.objects[resource.path(target.namespace, "one")]["spec"] == expected


def test_a_service_that_was_removed_while_it_led_to_the_fault_proxy_leads_back(client: Any) -> None:
    spec = {"clusterIP": "10.96.0.7", "selector": {"app": "logic"}, "ports": [{"port": 80, "targetPort": 8080}]}
    kept = client.api.put(SERVICES, {"metadata": {"name": "logic"}, "spec": spec})
    state = {"namespace": NAMESPACE, "service": snapshot(kept), "uid": kept["metadata"]["uid"]}
    leading = Front(NAMESPACE, "logic").labels
    client.api.put(SERVICES, {"metadata": {"name": "logic"}, "spec": spec | {"selector": dict(leading)}})
    assert Edge.heal(client, state).startswith("Service logic leads to its own pods again; ")
    assert client.api.objects[SERVICES.path(NAMESPACE, "logic")]["spec"] == spec


def test_a_fault_proxy_of_an_earlier_version_is_taken_back_and_removed(client: Any, tmp_path: Path) -> None:
    front = Front(NAMESPACE, "logic")
    spec = {"clusterIP": "10.96.0.7", "selector": {"app": "logic"}, "ports": [{"port": 80, "targetPort": 8080}]}
    kept = client.api.put(SERVICES, {"metadata": {"name": "logic"}, "spec": spec})
    # What that version kept on record, and made: everything of an edge but the ConfigMap with the program.
    state = {"namespace": NAMESPACE, "service": snapshot(kept), "uid": kept["metadata"]["uid"]}
    state |= {"before": {"median_ms": 2.0, "quick_ms": 1.0}, "pod": "api-0", "address": "10.96.0.7", "port": 80}
    leading = spec | {"selector": front.labels, "ports": [{"port": 80, "targetPort": 10080}]}
    client.api.objects[SERVICES.path(NAMESPACE, "logic")]["spec"] = leading
    named = {"app.kubernetes.io/name": front.proxy, "app.kubernetes.io/part-of": "flametest"}
    made = [(DEPLOYMENTS, front.proxy), (SERVICES, front.origin)]
    made += [(NETWORK_POLICIES, name) for name in (front.proxy, front.origin)]
    for resource, name in made:
        client.api.put(resource, {"metadata": {"name": name, "labels": named}, "spec": {}})
    journal = UndoJournal(tmp_path)
    target = Target(SERVICES.kind, NAMESPACE, "logic", kept["metadata"]["uid"])
    journal.write(recorded("fault_proxy", state, (target,), ""))
    (healing,) = heal_all(journal, journal.records()[0], lambda *_: client)
    assert healing.healed, healing.evidence
    assert healing.evidence.startswith("Service logic leads to its own pods again; ")
    assert client.api.objects[SERVICES.path(NAMESPACE, "logic")]["spec"] == spec
    assert not [name for resource, name in made if resource.path(NAMESPACE, name) in client.api.objects]
    assert journal.records()[0] == ()
