"""Which pods and nodes a fault acts on: selective, bounded, and drawn so that a seed repeats the draw."""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flametest.faults.container_crash import ContainerCrash
from flametest.faults.errors import FaultError
from flametest.faults.nodes import NodeSelection
from flametest.faults.scaling import Scaling
from flametest.faults.selection import PodSelection, foretold
from flametest.kube.resources import DEPLOYMENTS, NODES

NS = "flametest"


def names(selection: PodSelection, client: Any) -> list[str]:
    return [target.name for target in selection.targets(client)]


@pytest.mark.parametrize("selector", ["", "  "])
def test_an_empty_selector_is_refused(client: Any, selector: str) -> None:
    with pytest.raises(FaultError, match="the selector is empty, so it would select every pod of"):
        PodSelection(NS, selector, every=True).targets(client)


def test_a_misspelt_selector_is_told(client: Any) -> None:
    with pytest.raises(FaultError, match="no pod of namespace 'flametest' has 'app=apii'"):
        PodSelection(NS, "app=apii").targets(client)


@pytest.mark.parametrize("count", [0, 4, -1])
def test_more_pods_than_there_are_or_none_are_refused(client: Any, count: int) -> None:
    with pytest.raises(FaultError, match=f"{count} of 3 pods with 'app=api'.* were asked for"):
        PodSelection(NS, "app=api", count=count).targets(client)


def test_a_pattern_that_is_none_is_told(client: Any) -> None:
    with pytest.raises(FaultError, match="is no regular expression"):
        PodSelection(NS, name_pattern="(").targets(client)


def test_pods_are_taken_by_name_by_share_or_all(client: Any) -> None:
    assert names(PodSelection(NS, "app=api", at_random=False), client) == ["api-0"]
    assert names(PodSelection(NS, name_pattern="-[12]$", every=True), client) == ["api-1", "api-2"]
    assert names(PodSelection(NS, "app=api", count=34, percent=True, at_random=False), client) == ["api-0", "api-1"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(), count=st.integers(1, 3))
def test_a_draw_is_foretold_and_repeated_by_its_seed(client: Any, seed: int, count: int) -> None:
    selection = PodSelection(NS, "app=api", count=count)
    random.seed(seed)
    told = foretold(selection, client)
    assert selection.targets(client) == told
    random.seed(seed)
    assert selection.targets(client) == told


def test_a_node_is_named_or_drawn_from_those_with_a_pod_of_an_app(client: Any) -> None:
    client.api.put(NODES, {"metadata": {"name": "node-1"}, "spec": {}})
    drawn = NodeSelection(NS, app="api").targets(client)
    assert drawn[0].name == "node-1"
    with pytest.raises(FaultError, match="neither a node nor an app is named"):
        NodeSelection(NS).targets(client)
    with pytest.raises(FaultError, match="no node has a pod of app 'apii'"):
        NodeSelection(NS, app="apii").targets(client)
    with pytest.raises(FaultError, match="the cluster holds no Node 'node-9'"):
        NodeSelection(NS, "node-9").targets(client)


def test_a_workload_that_does_not_exist_is_told_with_those_that_do(client: Any) -> None:
    client.api.put(DEPLOYMENTS, {"metadata": {"name": "api"}, "spec": {}})
    with pytest.raises(FaultError, match="holds no Deployment 'apii'") as raised:
        Scaling(NS, "apii", 1).targets(client)
    assert raised.value.remedy == "use one of: api"
    with pytest.raises(FaultError, match="the Deployment has no name"):
        Scaling(NS, "", 1).targets(client)


def test_a_signal_is_a_name_and_nothing_that_a_shell_could_take_for_more(client: Any) -> None:
    with pytest.raises(FaultError, match="is no name of a signal"):
        ContainerCrash(PodSelection(NS, "app=api"), signal="TERM; reboot").targets(client)
