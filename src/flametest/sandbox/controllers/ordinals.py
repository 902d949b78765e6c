"""Pods of a StatefulSet by their ordinals: names, labels, and the claims that belong to each.

Pure functions, by the rules of the real controller (k8s.io/kubernetes, pkg/controller/statefulset).
"""

from collections.abc import Mapping
from typing import Any

from flametest.sandbox.controllers.metadata import controller_reference
from flametest.sandbox.controllers.pods import pod_from_template
from flametest.sandbox.labels import labels_of
from flametest.sandbox.objects import Object

__all__ = [
    "REVISION_LABEL",
    "claims_of",
    "is_ordered",
    "ordinal_of",
    "partition_of",
    "pod_of",
    "revision_label_of",
    "wanted_ordinals",
]

REVISION_LABEL = "controller-revision-hash"
_POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
_POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"


def _first_ordinal(owner: Object) -> int:
    return int((owner["spec"].get("ordinals") or {}).get("start") or 0)


def wanted_ordinals(owner: Object) -> range:
    """Return the ordinals that should exist."""
    replicas = owner["spec"].get("replicas")
    first = _first_ordinal(owner)
    return range(first, first + (1 if replicas is None else int(replicas)))


def is_ordered(owner: Object) -> bool:
    """Return whether pods are made and deleted one after another."""
    return bool(owner["spec"].get("podManagementPolicy") != "Parallel")


def partition_of(owner: Object) -> int:
    """Return the ordinal from which on pods are updated."""
    rolling = (owner["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    return _first_ordinal(owner) + int(rolling.get("partition") or 0)


def ordinal_of(owner: Object, pod: Object) -> int | None:
    """Return the ordinal in a pod's name, or None where the name is not of this StatefulSet."""
    parent, _, number = pod["metadata"]["name"].rpartition("-")
    return int(number) if parent == owner["metadata"]["name"] and number.isdecimal() else None


def revision_label_of(pod: Object) -> str:
    """Return the name of the ControllerRevision that a pod was made of; empty for none."""
    return labels_of(pod).get(REVISION_LABEL, "")


def pod_of(owner: Object, template: Mapping[str, Any], revision: str, ordinal: int) -> Object:
    """Return the pod of an ordinal, made of the template of a revision."""
    metadata = owner["metadata"]
    name = f"{metadata['name']}-{ordinal}"
    identity = {REVISION_LABEL: revision, _POD_NAME_LABEL: name, _POD_INDEX_LABEL: str(ordinal)}
    pod = pod_from_template(
        template,
        {
            "name": name,
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "labels": {**labels_of(template), **identity},
            "ownerReferences": [controller_reference(owner)],
        },
    )
    spec = {**pod["spec"], "hostname": name}
    if owner["spec"].get("serviceName"):
        spec["subdomain"] = owner["spec"]["serviceName"]
    claimed = {template["metadata"]["name"]: claim for template, claim in _claim_names(owner, ordinal)}
    if claimed:
        others = [volume for volume in spec.get("volumes") or [] if volume["name"] not in claimed]
        mounted = [{"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, claim in claimed.items()]
        spec["volumes"] = [*mounted, *others]
    return {**pod, "spec": spec}


def _claim_names(owner: Object, ordinal: int) -> list[tuple[Object, str]]:
    templates = owner["spec"].get("volumeClaimTemplates") or []
    name = owner["metadata"]["name"]
    return [(template, f"{template['metadata']['name']}-{name}-{ordinal}") for template in templates]


def claims_of(owner: Object, ordinal: int) -> list[Object]:
    """Return the claims that the pod of an ordinal needs, as they are to be made. They outlive the StatefulSet."""
    selected = (owner["spec"].get("selector") or {}).get("matchLabels") or {}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                **{key: template["metadata"][key] for key in ("annotations",) if template["metadata"].get(key)},
                "name": name,
                "namespace": owner["metadata"]["namespace"],
                "labels": {**labels_of(template), **selected},
            },
            "spec": template["spec"],
        }
        for template, name in _claim_names(owner, ordinal)
    ]
