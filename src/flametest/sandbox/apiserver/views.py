"""Resources that show what is stored as another one, and can only be read.

There is one: the events of the group ``events.k8s.io``, which are those of the core group with other names of fields.
Served by the same handlers as the catalogue's resources; everything that writes knows the catalogue alone.
"""

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


VIEWS: tuple[Resource, ...] = (
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
