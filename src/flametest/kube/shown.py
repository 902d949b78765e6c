"""What a watch has shown so far, and what it had not: for comparing it with a list of the same objects.

One thread takes in what the watch shows, others may compare meanwhile. Lives as long as its watch.
"""

import threading
from collections.abc import Iterable

from flametest.kube.resources import Object

__all__ = ["Shown"]


class Shown:
    """The objects of a watch by uid, as it showed them last."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._objects: dict[str, Object] = {}
        self._gone: set[str] = set()

    def take(self, obj: Object, *, deleted: bool) -> None:
        """Take in what the watch has just shown of an object."""
        uid = str(obj["metadata"]["uid"])
        with self._changed:
            if deleted:
                self._objects.pop(uid, None)
                self._gone.add(uid)
            else:
                self._objects[uid] = obj
            self._changed.notify_all()

    def objects(self) -> tuple[Object, ...]:
        """Return the objects that are there, as far as the watch has shown."""
        with self._changed:
            return tuple(self._objects.values())

    def unseen(self, before: Iterable[Object], listed: Iterable[Object], seconds_max: float) -> tuple[str, ...]:
        """Return the names of objects that the watch has not shown as a list has them, after ``seconds_max`` at most.

        Args:
            before: what `objects` returned before the list was asked for.
            listed: the list.
            seconds_max: how long the watch may take; 0 to judge it as it is now.
        """
        there = {str(item["metadata"]["uid"]): item for item in listed}
        ended = {uid: item for item in before if (uid := str(item["metadata"]["uid"])) not in there}

        def behind() -> list[Object]:
            late = [item for uid, item in there.items() if not self._has_shown(uid, item)]
            return late + [item for uid, item in ended.items() if uid in self._objects]

        with self._changed:
            self._changed.wait_for(lambda: not behind(), seconds_max)
            return tuple(str(item["metadata"]["name"]) for item in behind())

    def _has_shown(self, uid: str, item: Object) -> bool:
        return uid in self._gone or (uid in self._objects and _is_as_new(self._objects[uid], item))


def _is_as_new(shown: Object, listed: Object) -> bool:
    """Return whether an object was shown as new as it is in a list, by its versions, which are numbers that grow."""
    first, second = (str(one["metadata"]["resourceVersion"]) for one in (shown, listed))
    return first == second or (first.isdecimal() and second.isdecimal() and int(first) > int(second))
