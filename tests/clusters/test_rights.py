"""Rights: each fault names its own, and the rules made of them grant these and nothing else, as a cluster decides."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.clusters import Access
from flametest.faults.catalogue import FAULTS
from flametest.faults.rights import RIGHTS
from flametest.incluster.rules import rules_of
from flametest.kube.resources import DEPLOYMENTS, NETWORK_POLICIES, NODES, PODS, SERVICES
from flametest.kube.rights import Right, lacking, rights
from flametest.run.experiment import load_experiment
from flametest.run.needs import Plan, experiment_needs
from flametest.run.preflight import told
from flametest.sandbox.apiserver.authorization import Action, decide, service_account

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
ACCESS = Access(Path("kubeconfig"), "one", "http://127.0.0.1:30080", "shop")
RIGHT = st.builds(
    lambda resource, verb, subresource: rights(resource, verb, subresource=subresource)[0],
    st.sampled_from([PODS, SERVICES, DEPLOYMENTS, NETWORK_POLICIES]),
    st.sampled_from(["get", "list", "patch", "delete"]),
    st.sampled_from(["", "proxy", "exec"]),
)


class Granted:
    """A role of these rules, bound to one service account."""

    def __init__(self, granted: list[Any]) -> None:
        self._role = {"rules": granted}

    def get(self, resource: str, namespace: str, name: str) -> Any:
        return self._role

    def list(self, resource: str, namespace: str | None = None) -> Any:
        subject = {"kind": "ServiceAccount", "namespace": "shop", "name": "tester"}
        binding = {
            "metadata": {"name": "b", "namespace": "shop"},
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [subject],
        }
        return [binding] if resource.startswith("rolebindings") else []


def is_granted(right: Right, granted: list[Any]) -> bool:
    action = Action(right.verb, right.group, right.plural, right.subresource, "shop")
    return decide(service_account("shop", "tester"), action, Granted(granted)).allowed


@given(granted=st.lists(RIGHT, max_size=12), other=RIGHT)
def test_rules_grant_the_rights_they_were_made_of_and_no_others(granted: list[Right], other: Right) -> None:
    made = rules_of(granted, everywhere=False)
    assert all(is_granted(right, made) for right in granted)
    assert is_granted(other, made) is (other in granted)


def test_every_fault_names_its_rights() -> None:
    assert set(RIGHTS) == set(FAULTS)


def experiment(name: str) -> Any:
    return load_experiment(EXPERIMENTS / f"{name}.json")


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("pod-delete-api", *rights(PODS, "delete")),
        ("remove-service-logic", *rights(SERVICES, "delete")),
        ("container-crash-api", *rights(PODS, "create", subresource="exec")),
        ("node-drain", *rights(PODS, "create", subresource="eviction")),
        ("node-loss", *rights(NODES, "patch")),
        ("partition-logic", *rights(NETWORK_POLICIES, "patch")),
    ],
)
def test_an_experiment_needs_the_rights_of_its_faults_and_says_what_for(name: str, right: Right) -> None:
    needs = experiment_needs(Plan((experiment("control"), experiment(name))), ACCESS)
    assert name in needs[right]
    assert right not in experiment_needs(Plan((experiment("control"),)), ACCESS)


def widened(tmp_path: Path, name: str, namespaces: list[str], **arguments: object) -> Any:
    """Return an experiment whose recorder names further namespaces, and whose fault has further arguments."""
    document = json.loads((EXPERIMENTS / f"{name}.json").read_text())
    document["controls"][0]["provider"]["arguments"]["namespaces"] = namespaces
    for activity in document["method"]:
        if activity["provider"].get("func", "").startswith(("inject_", "terminate_")):
            activity["provider"]["arguments"] |= arguments
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps(document))
    return load_experiment(path)


def test_a_drain_needs_to_evict_in_every_namespace_that_the_experiment_names(tmp_path: Path) -> None:
    needs = experiment_needs(Plan((widened(tmp_path, "node-drain", ["kube-system"]),)), ACCESS)
    there = replace(rights(PODS, "create", subresource="eviction")[0], namespace="kube-system")
    assert needs[there] == ("node-drain",)
    assert str(there) == "create pods/eviction in namespace 'kube-system'"
    assert replace(there, namespace="") in needs
    assert not any(right.namespace for right in experiment_needs(Plan((experiment("node-drain"),)), ACCESS))


def test_a_fault_in_another_namespace_needs_its_rights_there(tmp_path: Path) -> None:
    needs = experiment_needs(Plan((widened(tmp_path, "scale-api", ["stock"], namespace="stock"),)), ACCESS)
    (patch,) = rights(DEPLOYMENTS, "patch")
    assert needs[replace(patch, namespace="stock")] == ("scale-api",)
    assert patch not in needs
    assert rights_of_roles(needs) == {"", "stock"}


def rights_of_roles(needs: Any) -> set[str]:
    """Return the namespaces in which a role made of these needs grants something; the system's is empty."""
    return {namespace for namespace in ("", "stock", "other") if rules_of(needs, everywhere=False, namespace=namespace)}


def test_only_the_namespace_of_a_right_is_asked(tmp_path: Path) -> None:
    asked = []

    class Reviews:
        def send(self, method: str, path: str, body: Any) -> Any:
            asked.append(body["spec"]["resourceAttributes"].get("namespace"))
            return {"status": {"allowed": False}}

    wanted = [
        *rights(PODS, "get"),
        replace(rights(PODS, "get")[0], namespace="stock"),
        *rights(NODES, "get"),
    ]
    assert lacking(Reviews(), wanted, "shop") == wanted  # type: ignore[arg-type]
    assert asked == ["shop", "stock", None]


def test_whoever_only_deploys_needs_no_right_of_an_experiment() -> None:
    assert experiment_needs(Plan(), ACCESS) == {}


def test_the_namespace_of_the_run_is_that_of_the_experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAMETEST_NAMESPACE", "another")
    document = json.loads((EXPERIMENTS / "pod-delete-api.json").read_text())
    path = tmp_path / "pod-delete-api.json"
    path.write_text(json.dumps(document))
    ((_, fault),) = Plan((load_experiment(path),)).faults(ACCESS)
    assert fault.selection.namespace == "shop"  # type: ignore[attr-defined]


def test_missing_rights_are_told_verb_by_verb_with_what_they_are_for() -> None:
    missing = dict.fromkeys(rights(PODS, "delete", "list"), ("one",)) | dict.fromkeys(
        rights(NODES, "get"), ("two", "x")
    )
    assert told(missing) == "delete, list pods (one); get nodes in the whole cluster (two, x)"
