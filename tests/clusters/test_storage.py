"""Claims that nothing will ever serve are told before anything is deployed, with the reason of each."""

import re
from typing import Any

import pytest

from flametest.clusters import ClusterError
from flametest.clusters.storage import Storage, claims_of, measure_storage
from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError
from flametest.manifests import Manifest

Object = dict[str, Any]


def manifest(kind: str, name: str, spec: Object, **metadata: Any) -> Manifest:
    return Manifest("db.yaml", {"kind": kind, "metadata": {"name": name, **metadata}, "spec": spec})


def claim_spec(size: str = "1Gi", **spec: Any) -> Object:
    return {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}


def claim(size: str = "1Gi", name: str = "data", **spec: Any) -> Manifest:
    return manifest("PersistentVolumeClaim", name, claim_spec(size, **spec))


def storage_class(name: str, *, default: bool = False, **fields: Any) -> Object:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {"metadata": {"name": name, "annotations": annotations}, "provisioner": "csi.example.com", **fields}


def volume(name: str, size: str = "1Gi", **spec: Any) -> Object:
    phase = spec.pop("phase", "Available")
    whole = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], **spec}
    return {"metadata": {"name": name, "labels": {"disk": name}}, "spec": whole, "status": {"phase": phase}}


def checked(*manifests: Manifest, classes: Any = (), volumes: Any = ()) -> str:
    return Storage(tuple(claims_of(manifests)), classes, volumes, "shop").checked()


def refused(*manifests: Manifest, classes: Any = (), volumes: Any = ()) -> str:
    with pytest.raises(ClusterError) as caught:
        checked(*manifests, classes=classes, volumes=volumes)
    return caught.value.message


LOCAL = storage_class("local", provisioner="kubernetes.io/no-provisioner", volumeBindingMode="WaitForFirstConsumer")
WAITING = storage_class("fast", default=True, volumeBindingMode="WaitForFirstConsumer")


@pytest.mark.parametrize(
    ("one", "classes", "volumes"),
    [
        (claim(), [WAITING], []),
        (claim(storageClassName="fast"), [WAITING], []),
        (claim(storageClassName="slow"), [storage_class("slow")], []),
        (claim(), [], [volume("pv")]),
        (claim(storageClassName=""), [WAITING], [volume("pv")]),
        (claim("500Mi"), [], [volume("pv", "1Gi")]),
        (claim(storageClassName="local"), [LOCAL], [volume("pv", storageClassName="local")]),
        (claim(storageClassName="made-up"), [], [volume("pv", storageClassName="made-up")]),
        (claim(volumeName="pv"), [], [volume("other"), volume("pv")]),
        (claim(selector={"matchLabels": {"disk": "two"}}), [], [volume("one"), volume("two")]),
        (claim(), [], [volume("pv", phase="Bound", claimRef={"namespace": "shop", "name": "data"})]),
        (claim(accessModes=["ReadOnlyMany"]), [], [volume("pv", accessModes=["ReadWriteOnce", "ReadOnlyMany"])]),
    ],
)
def test_a_claim_that_something_serves_is_fine(one: Manifest, classes: Any, volumes: Any) -> None:
    assert checked(one, classes=classes, volumes=volumes) == "1 claim can be bound"


@pytest.mark.parametrize(
    ("one", "classes", "volumes", "reason"),
    [
        (claim(), [storage_class("fast")], [], "the cluster has no default StorageClass"),
        (claim(), [], [], "the cluster has no default StorageClass"),
        (claim(storageClassName="gp2"), [WAITING], [], "there is no StorageClass 'gp2'"),
        (claim(storageClassName=""), [WAITING], [], "it asks for no StorageClass"),
        (claim(storageClassName="local"), [LOCAL], [], "StorageClass 'local' makes no volumes"),
        (claim(volumeName="pv"), [WAITING], [], "there is no PersistentVolume 'pv' that is free and fits"),
        (claim("2Gi"), [], [volume("pv", "1Gi")], "no PersistentVolume is free that fits"),
        (claim(), [], [volume("pv", phase="Released")], "no PersistentVolume is free that fits"),
        (claim(), [], [volume("pv", claimRef={"namespace": "other", "name": "data"})], "no PersistentVolume is free"),
        (claim(), [], [volume("pv", storageClassName="local")], "no PersistentVolume is free that fits"),
        (claim(accessModes=["ReadWriteMany"]), [], [volume("pv")], "no PersistentVolume is free that fits"),
        (claim(volumeMode="Block"), [], [volume("pv")], "no PersistentVolume is free that fits"),
        (claim(selector={"matchLabels": {"disk": "x"}}), [], [volume("pv")], "no PersistentVolume is free that fits"),
    ],
)
def test_a_claim_that_nothing_serves_is_named_with_the_reason(
    one: Manifest, classes: Any, volumes: Any, reason: str
) -> None:
    told = refused(one, classes=classes, volumes=volumes)
    assert told.startswith("1 of 1 claims would never be bound: data (db.yaml): ")
    assert reason in told


def test_the_classes_that_there_are_stand_in_the_remedy() -> None:
    with pytest.raises(ClusterError) as caught:
        checked(claim(storageClassName="gp2"), classes=[storage_class("slow"), WAITING])
    assert caught.value.remedy == "name one of the cluster's StorageClasses in the claim: fast, slow"


def test_an_old_annotation_names_the_class_too() -> None:
    annotated = manifest(
        "PersistentVolumeClaim",
        "data",
        claim_spec(),
        annotations={"volume.beta.kubernetes.io/storage-class": "gp2"},
    )
    assert "there is no StorageClass 'gp2'" in refused(annotated, classes=[WAITING])


def test_every_replica_of_a_stateful_set_needs_a_volume_of_its_own() -> None:
    template = {"metadata": {"name": "data"}, "spec": claim_spec()}
    database = manifest("StatefulSet", "db", {"replicas": 3, "volumeClaimTemplates": [template]})
    assert checked(database, classes=[WAITING]) == "3 claims can be bound"
    told = refused(database, volumes=[volume("a"), volume("b")])
    assert re.search(r"1 of 3 claims would never be bound: data-db-2 ", told)


def test_ephemeral_volumes_are_claims_too() -> None:
    volumes = [{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": claim_spec()}}}]
    deployment = manifest("Deployment", "worker", {"template": {"spec": {"volumes": volumes}}})
    job = manifest("CronJob", "nightly", {"jobTemplate": {"spec": {"template": {"spec": {"volumes": volumes}}}}})
    assert "worker-scratch" in refused(deployment)
    assert "nightly-scratch" in refused(job)


def test_all_claims_that_nothing_serves_are_told_at_once() -> None:
    told = refused(*(claim(name=f"data-{number}") for number in range(7)))
    assert "7 of 7 claims" in told
    assert "data-4" in told
    assert "and 2 more" in told


def test_what_one_may_not_see_stops_nothing_and_is_said() -> None:
    assert "which StorageClasses there are, this user may not see" in checked(claim(), classes=None)
    assert "that this user may not see" in checked(claim(), classes=[], volumes=None)
    assert checked(claim(), classes=[WAITING], volumes=None) == "1 claim gets a volume of its StorageClass"


def test_nothing_is_asked_where_nothing_is_claimed() -> None:
    found = measure_storage(None, "shop", [manifest("Service", "web", {})])  # type: ignore[arg-type]
    assert found.checked() == "no claim needs a volume"


class _Api:
    def __init__(self, code: int) -> None:
        self.code = code

    def listed(self, path: str) -> Object:
        raise ApiRejectedError("refused", code=self.code)


@pytest.mark.parametrize(("code", "told"), [(403, True), (404, True), (500, False), (503, False)])
def test_an_error_is_no_answer(code: int, told: bool) -> None:
    client: Any = type("Client", (KubeClient,), {"__init__": lambda self: None, "api": _Api(code)})()
    if told:
        assert "this user may not see" in measure_storage(client, "shop", [claim()]).checked()
    else:
        with pytest.raises(ApiRejectedError):
            measure_storage(client, "shop", [claim()])
