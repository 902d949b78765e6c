"""What the ``app`` of a fault names: a workload, with the pods that it owns.

Owners attribute, labels select. An app is the workload of that name, and its pods are those that it owns by uid,
whatever else carries the same labels. Only where no workload, or more than one, has the name, it is the value of the
label ``app`` instead: then it is every pod with that label, and whose these are, their owners tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from flametest.faults.errors import FaultError
from flametest.faults.policies import selected
from flametest.faults.workloads import WORKLOADS, pods_of, selects, target_of
from flametest.kube import KubeClient
from flametest.kube.pods import is_live
from flametest.kube.resources import DAEMON_SETS, PODS, Object
from flametest.model.events import Target

__all__ = ["KINDS", "LABEL", "App", "find_app"]

KINDS = (*WORKLOADS.values(), DAEMON_SETS)
"""The kinds of workloads that may be an app."""

LABEL = "app"


@dataclass(frozen=True, slots=True)
class App:
    """An app as it stands.

    Attributes:
        name: as it was asked for.
        workloads: what it consists of, each with its kind.
        pods: its live pods.
        strangers: live pods that its selector selects as well, and that none of its workloads owns.
        selector: the label selector of its pods, as a NetworkPolicy takes it.
        by_label: whether it was found by its label, so that strangers are meant too.
    """

    name: str
    workloads: tuple[Object, ...]
    pods: tuple[Object, ...]
    strangers: tuple[Object, ...]
    selector: Mapping[str, object]
    by_label: bool

    @property
    def targets(self) -> tuple[Target, ...]:
        """Return its workloads, and the pods that are meant and belong to none of them."""
        strangers = self.strangers if self.by_label else ()
        return tuple(target_of(one) for one in (*self.workloads, *(pod | {"kind": PODS.kind} for pod in strangers)))


def find_app(client: KubeClient, namespace: str, name: str) -> App:
    """Return the app of a name.

    Raises:
        FaultError: the name is empty, or nothing has it; the message tells the workloads there are.
        KubeError: the API is unreachable or refused.
    """
    if not name.strip():
        raise FaultError("the app is empty, so every pod of the namespace would be meant", "name one app")
    workloads = [
        one | {"kind": resource.kind} for resource in KINDS for one in client.api.listed(resource.path(namespace)).items
    ]
    named = [one for one in workloads if one["metadata"]["name"] == name]
    if len(named) == 1:
        return _app(client, namespace, name, named, named[0]["spec"]["selector"], by_label=False)
    labelled = [one for one in workloads if selects({LABEL: name}, one["spec"]["template"]["metadata"].get("labels"))]
    found = _app(client, namespace, name, labelled, {"matchLabels": {LABEL: name}}, by_label=True)
    if not found.targets:
        there = ", ".join(sorted({str(one["metadata"]["name"]) for one in workloads}))
        raise FaultError(
            f"namespace {namespace!r} holds no workload {name!r}, and none whose pods have the label {LABEL}={name}",
            f"use one of: {there}" if there else "deploy it",
        )
    return found


def _app(
    client: KubeClient, namespace: str, name: str, workloads: list[Object], selector: Object, *, by_label: bool
) -> App:
    owned = {str(pod["metadata"]["uid"]): pod for one in workloads for pod in pods_of(client, one) if is_live(pod)}
    others = [pod for pod in selected(client, namespace, selector) if pod["metadata"]["uid"] not in owned]
    pods = (*owned.values(), *others) if by_label else tuple(owned.values())
    return App(name, tuple(workloads), pods, tuple(others), selector, by_label)
