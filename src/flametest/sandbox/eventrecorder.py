"""Events (core/v1): what controllers, scheduler and agent tell people about an object, as `kubectl describe` shows it.

A recorder serves one component and lives as long as it. Repetitions of the same event are counted in one object
(``count``, ``lastTimestamp``), as the real recorder does. Events are a courtesy: a write that fails is logged, not
raised, so that nobody's work depends on them.
"""

import logging
from collections import OrderedDict

from flametest.sandbox.errors import StatusError
from flametest.sandbox.objects import Object, Objects
from flametest.sandbox.timestamps import Clock, format_time, utc_now

__all__ = ["EventRecorder", "reference_to"]

_log = logging.getLogger(__name__)

# Of each recorder, of which there is one for each controller.
_REMEMBERED_EVENTS_MAX = 1024


def reference_to(obj: Object, field_path: str = "") -> Object:
    """Return the ObjectReference to ``obj``; ``field_path`` names a part, such as ``spec.containers{main}``."""
    metadata = obj["metadata"]
    reference = {
        "kind": obj["kind"],
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "uid": metadata.get("uid", ""),
        "apiVersion": obj["apiVersion"],
        "resourceVersion": metadata.get("resourceVersion", ""),
        "fieldPath": field_path,
    }
    return {key: value for key, value in reference.items() if value}


class EventRecorder:
    """Writes the events of one component.

    Args:
        objects: the state of the cluster.
        component: who speaks, such as ``kubelet`` or ``replicaset-controller``.
        clock: the present time.
        host: the node on which the component runs; empty for none.
    """

    def __init__(self, objects: Objects, component: str, clock: Clock = utc_now, host: str = "") -> None:
        self._objects = objects
        self._component = component
        self._clock = clock
        self._host = host
        # By the hash of what makes events the same, since the texts themselves would take most of a kilobyte each.
        self._remembered: OrderedDict[int, tuple[str, str]] = OrderedDict()
        self._serial = 0

    def normal(self, about: Object, reason: str, message: str, field_path: str = "") -> None:
        """Record what went as intended."""
        self.record(about, "Normal", reason, message, field_path)

    def warning(self, about: Object, reason: str, message: str, field_path: str = "") -> None:
        """Record what did not."""
        self.record(about, "Warning", reason, message, field_path)

    def record(self, about: Object, kind: str, reason: str, message: str, field_path: str = "") -> None:
        """Record an event about an object, given whole; ``kind`` is Normal or Warning."""
        regarding = reference_to(about, field_path)
        same = hash((regarding.get("uid", ""), regarding["name"], field_path, kind, reason, message))
        try:
            if not self._count_again(same):
                self._remember(same, self._create(regarding, kind, reason, message))
        except StatusError as error:
            _log.debug("event %s about %s is not recorded: %s", reason, regarding["name"], error)

    def _count_again(self, same: int) -> bool:
        place = self._remembered.get(same)
        event = None if place is None else self._objects.get("events", *place)
        if event is None:
            return False
        event["count"] = event.get("count", 1) + 1
        event["lastTimestamp"] = format_time(self._clock())
        self._objects.update("events", event)
        self._remembered.move_to_end(same)
        return True

    def _remember(self, same: int, place: tuple[str, str]) -> None:
        self._remembered[same] = place
        while len(self._remembered) > _REMEMBERED_EVENTS_MAX:
            self._remembered.popitem(last=False)

    def _create(self, regarding: Object, kind: str, reason: str, message: str) -> tuple[str, str]:
        now = self._clock()
        namespace = regarding.get("namespace") or "default"
        # The real recorder's names: that of the object, then the time in hexadecimal nanoseconds.
        self._serial += 1
        name = f"{regarding['name']}.{int(now.timestamp() * 1e9) + self._serial:x}"
        source = {"component": self._component}
        if self._host:
            source["host"] = self._host
        self._objects.create(
            "events",
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": regarding,
                "reason": reason,
                "message": message,
                "source": source,
                "firstTimestamp": format_time(now),
                "lastTimestamp": format_time(now),
                "count": 1,
                "type": kind,
                "eventTime": None,
                "reportingComponent": self._component,
                "reportingInstance": self._host,
            },
        )
        return namespace, name
