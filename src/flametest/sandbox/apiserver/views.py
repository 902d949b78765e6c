"""Resources that show what is stored as another one.

The events of the group ``events.k8s.io`` are those of the core group with other names of fields, and can only be read.
Autoscalers of ``autoscaling/v1`` are those of ``autoscaling/v2``; what the old version has no fields for is kept in
annotations, as Kubernetes does. Served by the same handlers as the catalogue's resources.
"""

import orjson

from flametest.sandbox.apiserver.resources import BY_NAME, Resource
from flametest.sandbox.objects import Object

__all__ = ["VIEWS"]

_CORE_EVENTS = BY_NAME["events"]
_REGARDING_FIELDS = tuple(path for path in _CORE_EVENTS.fields if path.startswith("involvedObject."))


def _event(stored: Object) -> Object:
    """Return an event of the core group as one of ``events.k8s.io``: the conversion of Kubernetes itself."""
    shown: Object = {"kind": "Event", "apiVersion": "events.k8s.io/v1", "metadata": stored["metadata"]}
    shown["eventTime"] = stored.get("eventTime")
    for name, source in (
        ("series", "series"),
        ("reportingController", "reportingComponent"),
        ("reportingInstance", "reportingInstance"),
        ("action", "action"),
        ("reason", "reason"),
        ("regarding", "involvedObject"),
        ("related", "related"),
        ("note", "message"),
        ("type", "type"),
    ):
        if stored.get(source):
            shown[name] = stored[source]
    shown["deprecatedSource"] = stored.get("source") or {}
    shown["deprecatedFirstTimestamp"] = stored.get("firstTimestamp")
    shown["deprecatedLastTimestamp"] = stored.get("lastTimestamp")
    if stored.get("count"):
        shown["deprecatedCount"] = stored["count"]
    return shown


_V1, _V2 = "autoscaling/v1", "autoscaling/v2"
_AUTOSCALER = BY_NAME["horizontalpodautoscalers.autoscaling"]
_KEPT = {name: f"autoscaling.alpha.kubernetes.io/{name}" for name in ("metrics", "behavior")}
_CPU_PERCENT = "targetCPUUtilizationPercentage"


def _cpu_percent(metric: Object) -> int | None:
    """Return the average utilisation of processors that a metric aims at; None for a metric of another kind."""
    resource = metric.get("resource", {})
    if metric.get("type") != "Resource" or resource.get("name") != "cpu":
        return None
    percent: int | None = resource.get("target", {}).get("averageUtilization")
    return percent


def _shown_autoscaler(stored: Object) -> Object:
    """Return an autoscaler in version 1, which knows one metric: how busy the processors are."""
    metadata, spec = dict(stored["metadata"]), dict(stored["spec"])
    metrics, behavior = spec.pop("metrics", []), spec.pop("behavior", None)
    first = next((metric for metric in metrics if _cpu_percent(metric) is not None), None)
    if first is not None:
        spec[_CPU_PERCENT] = _cpu_percent(first)
    kept = {"metrics": [metric for metric in metrics if metric is not first], "behavior": behavior}
    notes = {_KEPT[name]: orjson.dumps(value).decode() for name, value in kept.items() if value}
    if notes:
        metadata["annotations"] = {**metadata.get("annotations", {}), **notes}
    status = stored.get("status", {})
    names = ("currentReplicas", "desiredReplicas", "lastScaleTime", "observedGeneration")
    shown = {"currentReplicas": 0, "desiredReplicas": 0, **{name: status[name] for name in names if name in status}}
    return {
        "kind": _AUTOSCALER.kind,
        "apiVersion": _V1,
        "metadata": metadata,
        "spec": spec,
        **({"status": shown} if "status" in stored else {}),
    }


def _stored_autoscaler(written: Object) -> Object:
    """Return an autoscaler of version 1 in version 2."""
    metadata, spec = dict(written["metadata"]), dict(written.get("spec", {}))
    annotations = dict(metadata.get("annotations", {}))
    percent = spec.pop(_CPU_PERCENT, None)
    kept = {name: _json_of(annotations.pop(note, "")) for name, note in _KEPT.items()}
    metrics = kept["metrics"] if isinstance(kept["metrics"], list) else []
    metrics += [] if percent is None else [_cpu_metric(percent)]
    spec |= {"metrics": metrics} if metrics else {}
    spec |= {"behavior": kept["behavior"]} if isinstance(kept["behavior"], dict) else {}
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    rest = {"status": written["status"]} if "status" in written else {}
    return {"kind": _AUTOSCALER.kind, "apiVersion": _V2, "metadata": metadata, "spec": spec, **rest}


def _cpu_metric(percent: int) -> Object:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def _json_of(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


VIEWS: tuple[Resource, ...] = (
    Resource(
        plural=_AUTOSCALER.plural,
        kind=_AUTOSCALER.kind,
        group=_AUTOSCALER.group,
        version="v1",
        columns=_AUTOSCALER.columns,
        short_names=_AUTOSCALER.short_names,
        categories=_AUTOSCALER.categories,
        subresources=_AUTOSCALER.subresources,
        stored_as=_AUTOSCALER.name,
        show=_shown_autoscaler,
        store=_stored_autoscaler,
    ),
    Resource(
        plural="events",
        kind="Event",
        group="events.k8s.io",
        columns=_CORE_EVENTS.columns,
        short_names=_CORE_EVENTS.short_names,
        stored_as=_CORE_EVENTS.name,
        show=_event,
        fields=_CORE_EVENTS.fields,
        field_aliases={
            "reportingController": "reportingComponent",
            **{path.replace("involvedObject", "regarding"): path for path in _REGARDING_FIELDS},
        },
    ),
)
