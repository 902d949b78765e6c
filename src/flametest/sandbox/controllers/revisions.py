"""Names and revisions of a Deployment's ReplicaSets: which one is of the present template, and its number in history.

Pure functions, by the rules of the real controller (k8s.io/kubernetes, pkg/controller/deployment/util).
`kubectl rollout history` and `kubectl rollout undo` read what is written here.
"""

from collections.abc import Iterable

from flametest.sandbox.controllers.hashing import same_template, template_hash
from flametest.sandbox.controllers.metadata import (
    age_order,
    annotations_of,
    controller_reference,
    with_annotations,
    with_spec,
)
from flametest.sandbox.controllers.rollout import (
    DESIRED_ANNOTATION,
    MAX_ANNOTATION,
    Fleet,
    new_size,
    replicas_annotations,
)
from flametest.sandbox.labels import labels_of
from flametest.sandbox.objects import Object

__all__ = [
    "REVISION_ANNOTATION",
    "find_new",
    "is_name_taken",
    "new_replica_set",
    "next_revision",
    "refreshed",
    "revision_of",
]

REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
_HISTORY_ANNOTATION = "deployment.kubernetes.io/revision-history"
_HASH_LABEL = "pod-template-hash"

# What a ReplicaSet does not take over from its Deployment.
_OWN_ANNOTATIONS = {
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION_ANNOTATION,
    _HISTORY_ANNOTATION,
    DESIRED_ANNOTATION,
    MAX_ANNOTATION,
    "deprecated.deployment.rollback.to",
}

# The annotation grows with every rollback; the real controller cuts it at this length, too.
_HISTORY_CHARACTERS_MAX = 2000


def revision_of(replica_set: Object) -> int:
    """Return the revision of a ReplicaSet; 0 for none."""
    try:
        return int(annotations_of(replica_set).get(REVISION_ANNOTATION, "0"))
    except ValueError:
        return 0


def next_revision(old: Iterable[Object]) -> int:
    """Return the revision that comes after those of the old ReplicaSets."""
    return max((revision_of(each) for each in old), default=0) + 1


def find_new(deployment: Object, replica_sets: Iterable[Object]) -> Object | None:
    """Return the oldest ReplicaSet of the Deployment's present template, or None."""
    template = deployment["spec"]["template"]
    ordered = sorted(replica_sets, key=age_order)
    return next((each for each in ordered if same_template(each["spec"]["template"], template)), None)


def is_name_taken(name: str, replica_sets: Iterable[Object]) -> bool:
    """Return whether a ReplicaSet has this name already."""
    return any(each["metadata"]["name"] == name for each in replica_sets)


def new_replica_set(fleet: Fleet) -> Object:
    """Return the ReplicaSet of the present template, as it is to be made: sized for the first step of the rollout."""
    deployment = fleet.deployment
    metadata, spec = deployment["metadata"], deployment["spec"]
    digest = template_hash(spec["template"], (deployment.get("status") or {}).get("collisionCount", 0))
    labels = {**labels_of(spec["template"]), _HASH_LABEL: digest}
    template_metadata = {**(spec["template"].get("metadata") or {}), "labels": labels}
    selector = spec["selector"]
    inherited = _inherited(deployment)
    made: Object = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name']}-{digest}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": {
                **inherited,
                **replicas_annotations(deployment),
                REVISION_ANNOTATION: str(next_revision(fleet.old)),
            },
            "ownerReferences": [controller_reference(deployment)],
        },
        "spec": {
            "replicas": new_size(fleet, 0),
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), _HASH_LABEL: digest}},
            "template": {**spec["template"], "metadata": template_metadata},
        },
    }
    if spec.get("minReadySeconds"):
        made["spec"]["minReadySeconds"] = spec["minReadySeconds"]
    return made


def _inherited(deployment: Object) -> dict[str, str]:
    return {key: value for key, value in annotations_of(deployment).items() if key not in _OWN_ANNOTATIONS}


def refreshed(deployment: Object, replica_set: Object, revision: int) -> Object | None:
    """Return the new ReplicaSet brought up to date with its Deployment, or None if it is.

    Its revision becomes the highest; one that it had before (a rollback) goes into its history.
    """
    annotations = {**annotations_of(replica_set), **_inherited(deployment)}
    before = revision_of(replica_set)
    if before < revision:
        annotations[REVISION_ANNOTATION] = str(revision)
        if before:
            annotations[_HISTORY_ANNOTATION] = _history(annotations.get(_HISTORY_ANNOTATION, ""), before)
    min_ready_seconds = deployment["spec"].get("minReadySeconds") or 0
    same_wait = (replica_set["spec"].get("minReadySeconds") or 0) == min_ready_seconds
    if annotations == annotations_of(replica_set) and same_wait:
        return None
    renewed = with_annotations(replica_set, annotations)
    return renewed if same_wait else with_spec(renewed, minReadySeconds=min_ready_seconds)


def _history(history: str, revision: int) -> str:
    entries = [*filter(None, history.split(",")), str(revision)]
    while len(",".join(entries)) > _HISTORY_CHARACTERS_MAX:
        entries.pop(0)
    return ",".join(entries)
