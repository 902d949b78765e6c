"""Bare ReplicaSets, ReplicationControllers and Jobs: how far each is, by its specification and status."""

from typing import Any

import pytest

from flametest.kube.apply import Applied, Change
from flametest.kube.errors import NotFoundError
from flametest.kube.further import applied_further, further_readiness, listed_further
from flametest.kube.pages import Listing, whole_list

Object = dict[str, Any]


def obj(kind: str, spec: Object, status: Object, generation: int = 1) -> Object:
    return {"kind": kind, "metadata": {"name": "x", "generation": generation}, "spec": spec, "status": status}


def done(kind: str = "Complete", status: str = "True") -> Object:
    return {"conditions": [{"type": kind, "status": status}]}


@pytest.mark.parametrize(
    ("given", "shown", "complete"),
    [
        (obj("ReplicaSet", {"replicas": 2}, {"observedGeneration": 1, "availableReplicas": 2}), "x 2/2", True),
        (obj("ReplicaSet", {"replicas": 2}, {"observedGeneration": 1, "availableReplicas": 1}), "x 1/2", False),
        (obj("ReplicaSet", {"replicas": 0}, {"observedGeneration": 1}), "x 0/0", True),
        (obj("ReplicaSet", {"replicas": 0}, {}), "x 0/0", False),
        (obj("ReplicationController", {}, {"observedGeneration": 1, "availableReplicas": 1}), "x 1/1", True),
        (
            obj("ReplicationController", {}, {"observedGeneration": 1, "availableReplicas": 1, "replicas": 2}),
            "x 1/1",
            False,
        ),
        (obj("ReplicationController", {}, {"observedGeneration": 1, "availableReplicas": 1}, 2), "x 1/1", False),
        (obj("Job", {"completions": 3}, {"succeeded": 2}), "x 2/3", False),
        (obj("Job", {"completions": 3}, {"succeeded": 3} | done()), "x 3/3", True),
        (obj("Job", {"completions": 3}, {"succeeded": 3} | done(status="False")), "x 3/3", False),
        (obj("Job", {"parallelism": 4}, {"succeeded": 4} | done()), "x 1/1", True),
        (obj("Job", {}, {"failed": 7} | done("Failed")), "x 0/1", False),
        (obj("Job", {"suspend": True}, {}), "x 0/0", True),
    ],
)
def test_how_far_it_is(given: Object, shown: str, complete: bool) -> None:
    found = further_readiness(given)
    assert (str(found), found.complete) == (shown, complete)


class PretendedApi:
    """Serves what it is given, by path."""

    def __init__(self, **objects: Object) -> None:
        self.objects = objects

    def get(self, path: str) -> Object:
        name = path.rpartition("/")[2]
        if name not in self.objects:
            raise NotFoundError("gone", code=404)
        return self.objects[name]

    def listed(self, path: str) -> Listing:
        return whole_list(lambda _: {"items": [self.get(path)] if path.endswith("jobs") else []}, {})


def test_of_what_was_applied_the_further_kinds_are_asked_for_by_name() -> None:
    applied = [
        Applied("a.yaml", kind, "shop", name, Change.CREATED)
        for kind, name in (("Job", "seed"), ("Job", "gone"), ("Deployment", "web"), ("ConfigMap", "map"))
    ]
    api: Any = PretendedApi(seed={"metadata": {"name": "seed"}}, web={}, map={})
    assert [(one["kind"], one["metadata"]["name"]) for one in applied_further(api, applied)] == [("Job", "seed")]


def test_what_another_object_has_made_is_not_listed() -> None:
    own: Object = {"metadata": {"name": "seed"}}
    made: Object = {"metadata": {"name": "seed", "ownerReferences": [{"kind": "CronJob", "controller": True}]}}
    assert [len(listed_further(_api(jobs), "shop")) for jobs in (own, made)] == [1, 0]


def _api(jobs: Object) -> Any:
    return PretendedApi(jobs=jobs)
