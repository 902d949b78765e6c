"""Defaults of the group apps: deployments, replica sets, stateful sets, daemon sets."""

from flametest.sandbox.apiserver.defaults.pods import default_template
from flametest.sandbox.apiserver.defaults.storage import default_claim
from flametest.sandbox.objects import Object

__all__ = [
    "carry_daemon_set",
    "default_daemon_set",
    "default_deployment",
    "default_replica_set",
    "default_replication_controller",
    "default_stateful_set",
    "prepare_daemon_set",
    "prepare_deployment",
    "prepare_replica_set",
    "prepare_stateful_set",
]

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
HISTORY_REVISIONS = 10


def prepare_deployment(deployment: Object) -> None:
    """Give a new deployment its empty status."""
    deployment["status"] = {}


def default_deployment(deployment: Object) -> None:
    """Fill in a deployment: one replica, a rolling update by a quarter, ten minutes to make progress."""
    spec = deployment.setdefault("spec", {})
    default_template(spec.setdefault("template", {}))
    spec.setdefault("replicas", 1)
    strategy = spec.setdefault("strategy", {})
    # An empty text counts as none, for the API is written in Go.
    strategy["type"] = strategy.get("type") or "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")
    spec.setdefault("revisionHistoryLimit", HISTORY_REVISIONS)
    spec.setdefault("progressDeadlineSeconds", 600)


def prepare_replica_set(replica_set: Object) -> None:
    """Give a new replica set its first status."""
    replica_set["status"] = {"replicas": 0}


def default_replica_set(replica_set: Object) -> None:
    """Fill in a replica set."""
    spec = replica_set.setdefault("spec", {})
    default_template(spec.setdefault("template", {}))
    spec.setdefault("replicas", 1)


def default_replication_controller(controller: Object) -> None:
    """Fill in a replication controller: its selector and its own labels are its template's labels."""
    default_replica_set(controller)
    labels = controller["spec"]["template"]["metadata"].get("labels", {})
    if labels and not controller["spec"].get("selector"):
        controller["spec"]["selector"] = dict(labels)
    if labels and not controller["metadata"].get("labels"):
        controller["metadata"]["labels"] = dict(labels)


def prepare_stateful_set(stateful_set: Object) -> None:
    """Give a new stateful set its first status."""
    stateful_set["status"] = {"replicas": 0, "availableReplicas": 0}


def default_stateful_set(stateful_set: Object) -> None:
    """Fill in a stateful set and the templates of its claims."""
    spec = stateful_set.setdefault("spec", {})
    default_template(spec.setdefault("template", {}))
    spec.setdefault("replicas", 1)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    spec.setdefault("revisionHistoryLimit", HISTORY_REVISIONS)
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retention.setdefault("whenDeleted", "Retain")
    retention.setdefault("whenScaled", "Retain")
    for claim in spec.get("volumeClaimTemplates", ()):
        claim.update(apiVersion="v1", kind="PersistentVolumeClaim")
        default_claim(claim)
        claim.setdefault("status", {}).setdefault("phase", "Pending")


def prepare_daemon_set(daemon_set: Object) -> None:
    """Give a new daemon set its first status and template generation."""
    daemon_set["metadata"].setdefault("annotations", {})[TEMPLATE_GENERATION] = "1"
    counts = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    daemon_set["status"] = dict.fromkeys(counts, 0)


def default_daemon_set(daemon_set: Object) -> None:
    """Fill in a daemon set: replace one pod after the other."""
    spec = daemon_set.setdefault("spec", {})
    default_template(spec.setdefault("template", {}))
    spec.setdefault("revisionHistoryLimit", HISTORY_REVISIONS)
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)


def carry_daemon_set(new: Object, old: Object) -> None:
    """Count the generation of the template up when it changes."""
    generation = int(old["metadata"].get("annotations", {}).get(TEMPLATE_GENERATION, "1"))
    default_daemon_set(new)
    if new["spec"]["template"] != old["spec"]["template"]:
        generation += 1
    new["metadata"].setdefault("annotations", {})[TEMPLATE_GENERATION] = str(generation)
