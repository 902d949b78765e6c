"""What is refused of deployments, replica sets, stateful sets and daemon sets."""

import re
from typing import Any

from flametest.sandbox.apiserver.failures import (
    Cause,
    bad_value,
    forbidden_value,
    required,
    unsupported_value,
)
from flametest.sandbox.apiserver.selectors import matches_selector
from flametest.sandbox.apiserver.validation.names import check_enum, check_label_selector, check_not_negative
from flametest.sandbox.apiserver.validation.pods import check_template
from flametest.sandbox.objects import Object

__all__ = [
    "check_daemon_set",
    "check_deployment",
    "check_replica_set",
    "check_replication_controller",
    "check_selector_update",
    "check_stateful_set",
    "check_stateful_set_update",
]

_STATEFUL_MUTABLE = frozenset(
    (
        "minReadySeconds",
        "ordinals",
        "persistentVolumeClaimRetentionPolicy",
        "replicas",
        "revisionHistoryLimit",
        "template",
        "updateStrategy",
    )
)


def _check_workload(spec: Object) -> list[Cause]:
    selector = spec.get("selector")
    causes: list[Cause] = []
    labels = spec["template"].get("metadata", {}).get("labels", {})
    if selector is None:
        causes.append(required("spec.selector"))
    else:
        causes += check_label_selector(selector, "spec.selector")
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            causes.append(bad_value("spec.selector", selector, "empty selector is invalid for this resource"))
    if not causes and not matches_selector(selector or {}, labels):
        detail = "`selector` does not match template `labels`"
        causes.append(bad_value("spec.template.metadata.labels", labels, detail))
    # A StatefulSet gives each pod a volume for each of its claim templates.
    claims = [claim.get("metadata", {}).get("name", "") for claim in spec.get("volumeClaimTemplates", ())]
    causes += check_template(spec["template"], "spec.template", claims)
    restart_policy = spec["template"]["spec"].get("restartPolicy")
    if restart_policy != "Always":
        causes.append(unsupported_value("spec.template.spec.restartPolicy", restart_policy, ("Always",)))
    for name in ("replicas", "minReadySeconds", "revisionHistoryLimit"):
        causes += check_not_negative(spec, name, "spec")
    return causes


def _check_share(value: Any, field: str) -> list[Cause]:
    if isinstance(value, int):
        return [] if value >= 0 else [bad_value(field, value, "must be greater than or equal to 0")]
    if re.fullmatch("[0-9]+%", value):
        return []
    text = (
        "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used"
        " for validation is '[0-9]+%')"
    )
    return [bad_value(field, value, text)]


def check_deployment(deployment: Object) -> list[Cause]:
    """Return the faults of a deployment."""
    spec = deployment["spec"]
    causes = _check_workload(spec)
    strategy = spec["strategy"]
    causes += check_enum(strategy["type"], "spec.strategy.type", ("Recreate", "RollingUpdate"))
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == "Recreate" and rolling is not None:
        detail = "may not be specified when strategy `type` is 'Recreate'"
        causes.append(forbidden_value("spec.strategy.rollingUpdate", detail))
    elif strategy["type"] == "RollingUpdate":
        for name in ("maxUnavailable", "maxSurge"):
            causes += _check_share(rolling[name], f"spec.strategy.rollingUpdate.{name}")
        if all(rolling[name] in (0, "0%") for name in ("maxUnavailable", "maxSurge")):
            detail = "may not be 0 when `maxSurge` is 0"
            field = "spec.strategy.rollingUpdate.maxUnavailable"
            causes.append(bad_value(field, rolling["maxUnavailable"], detail))
    causes += check_not_negative(spec, "progressDeadlineSeconds", "spec")
    if spec["progressDeadlineSeconds"] <= spec.get("minReadySeconds", 0):
        detail = "must be greater than minReadySeconds"
        causes.append(bad_value("spec.progressDeadlineSeconds", spec["progressDeadlineSeconds"], detail))
    return causes


def check_replica_set(replica_set: Object) -> list[Cause]:
    """Return the faults of a replica set."""
    return _check_workload(replica_set["spec"])


def check_replication_controller(controller: Object) -> list[Cause]:
    """Return the faults of a replication controller, whose selector is a map of labels."""
    spec = controller["spec"]
    if not spec.get("selector"):
        return [required("spec.selector")]
    return _check_workload({**spec, "selector": {"matchLabels": spec["selector"]}})


def check_daemon_set(daemon_set: Object) -> list[Cause]:
    """Return the faults of a daemon set."""
    spec = daemon_set["spec"]
    return _check_workload(spec) + check_enum(
        spec["updateStrategy"]["type"], "spec.updateStrategy.type", ("OnDelete", "RollingUpdate")
    )


def check_stateful_set(stateful_set: Object) -> list[Cause]:
    """Return the faults of a stateful set."""
    spec = stateful_set["spec"]
    causes = _check_workload(spec)
    causes += check_enum(spec["podManagementPolicy"], "spec.podManagementPolicy", ("OrderedReady", "Parallel"))
    types = ("OnDelete", "RollingUpdate")
    return causes + check_enum(spec["updateStrategy"]["type"], "spec.updateStrategy.type", types)


def check_selector_update(new: Object, old: Object) -> list[Cause]:
    """Return the fault of a change of a workload's selector."""
    if new["spec"].get("selector") == old["spec"].get("selector"):
        return []
    return [bad_value("spec.selector", new["spec"].get("selector"), "field is immutable")]


def check_stateful_set_update(new: Object, old: Object) -> list[Cause]:
    """Return the fault of a change of what stays fixed in a stateful set."""
    fixed = [{k: v for k, v in obj["spec"].items() if k not in _STATEFUL_MUTABLE} for obj in (new, old)]
    if fixed[0] == fixed[1]:
        return []
    allowed = ", ".join(f"'{name}'" for name in sorted(_STATEFUL_MUTABLE - {"minReadySeconds"}))
    detail = f"updates to statefulset spec for fields other than {allowed} and 'minReadySeconds' are forbidden"
    return [forbidden_value("spec", detail)]
