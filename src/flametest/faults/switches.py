"""The fault switches of pods: turned on and off by the API server's pod proxy, for pods that start later too.

A service has its switch at ``/faults`` on a port of its own (see the services' ``faults.py``). It goes off by itself
when its time is over. A `Follower` belongs to one injected fault: a thread that turns on the switches of pods, and of
containers, that start while it lasts; it ends with the healing, and at the latest when the switches go off.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flametest.faults.errors import FaultError, HealError
from flametest.faults.policies import isolating
from flametest.faults.soundings import pod_proxy
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError, KubeError, NotFoundError
from flametest.kube.resources import PODS, Object
from flametest.kube.snapshots import find

__all__ = ["ADMIN_PORT", "SWITCH", "Follower", "read", "running", "turn_off", "turn_on"]

ADMIN_PORT = 9090
LOOK_SECONDS = 0.2
STOP_SECONDS_MAX = 5.0
OFF_SECONDS_MAX = 10.0
SWITCH = "faults"
_UNREACHED = "trying to reach"  # the API server's own words, in all versions
_REFUSED = "connection refused"


def running(pods: list[Object]) -> list[Object]:
    """Return the pods that run, have an address, and stay."""
    return [
        pod
        for pod in pods
        if pod.get("status", {}).get("podIP")
        and pod["status"].get("phase") == "Running"
        and not pod["metadata"].get("deletionTimestamp")
    ]


def read(client: KubeClient, namespace: str, pod: str) -> Object:
    """Return what a pod's switch says.

    Raises:
        KubeError: the pod, or its switch, does not answer.
    """
    return client.api.get(pod_proxy(namespace, pod, ADMIN_PORT, SWITCH))


def turn_on(client: KubeClient, namespace: str, pod: str, body: dict[str, Any]) -> None:
    """Turn a pod's switch on.

    Raises:
        FaultError: nothing listens there, such as in a pod that is being replaced.
        KubeError: the API is unreachable or refused.
    """
    try:
        client.api.send("POST", pod_proxy(namespace, pod, ADMIN_PORT, SWITCH), body)
    except ApiRejectedError as error:
        if _UNREACHED not in error.told.lower():
            raise
        raise FaultError(
            f"the fault switch of pod {pod} cannot be turned on: {error.told}", "wait until its pods run, and try again"
        ) from error


def turn_off(client: KubeClient, namespace: str, pod: str, switch: str = SWITCH) -> Object | None:
    """Turn a pod's switch off, and return what it said then; None when the pod, or what listened in it, is gone.

    ``switch`` is the path of it.

    Raises:
        HealError: it was not seen to be off within a bound.
        KubeError: the API is unreachable.
    """
    last = [""]
    told: list[Object] = []

    def off() -> bool:
        try:
            path = pod_proxy(namespace, pod, ADMIN_PORT, switch)
            told.append(client.api.send("DELETE", path))
            last[0] = "it is still on"
            return not client.api.get(path).get("active")
        except ApiRejectedError as error:
            last[0] = error.told
            return _has_no_switch(client, (namespace, pod), error)

    if not wait_for(off, OFF_SECONDS_MAX):
        raise HealError(
            f"the fault switch of pod {pod} cannot be turned off: {last[0]}", "it goes off by itself when its time ends"
        )
    return told[0] if told else None


def _has_no_switch(client: KubeClient, pod: tuple[str, str], error: ApiRejectedError) -> bool:
    """Return whether an answer says that a pod is gone, or that nothing listens in it: the switch lives in its memory.

    The API server's own words count, and only while it answers for the pod itself; a proxy before it may say the like.
    A connection may also be refused by a policy, so that a pod that one isolates has to have nothing that runs.
    """
    if isinstance(error, NotFoundError) and error.is_absence_of(pod[1]):
        return find(client.api, PODS, *pod) is None
    if _UNREACHED not in error.told.lower() or _REFUSED not in error.told.lower():
        return False
    found = find(client.api, PODS, *pod)
    return found is not None and not (_runs(found) and _may_be_isolated(client, found))


def _runs(pod: Object) -> bool:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return any("running" in one.get("state", {}) for one in statuses)


def _may_be_isolated(client: KubeClient, pod: Object) -> bool:
    """Return whether a policy isolates a pod, or that cannot be asked."""
    metadata = pod["metadata"]
    try:
        return bool(isolating(client, metadata["namespace"], {metadata["uid"]}))
    except ApiRejectedError:
        return True


class Follower:
    """Turns on the switches of pods that start later.

    Args:
        pods: lists the pods that run now.
        switch: turns a pod's switch on.
        until: moment of the monotonic clock at which it ends by itself, in seconds.
    """

    def __init__(self, pods: Callable[[], list[Object]], switch: Callable[[Object], None], until: float) -> None:
        self._pods = pods
        self._switch = switch
        self._until = until
        self._on: set[str] = set()
        self.missed: dict[str, str] = {}  # why a pod that started later does not have the fault, by its name
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fault switches", daemon=True)

    def start(self) -> None:
        """Turn on the switches of the pods that run now, then follow in a thread.

        Raises:
            FaultError, KubeError: a pod, or its switch, does not answer.
        """
        for pod in self._pods():
            self._switch(pod)
            self._on.add(_life(pod))
        self._thread.start()

    def stop(self) -> None:
        """End; no switch is turned on any more. May be repeated."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS_MAX)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS) and time.monotonic() < self._until:
            with suppress(FaultError, KubeError):  # an API server that is busy, or a process that does not listen yet
                for pod in self._pods():
                    if _life(pod) not in self._on and not self._stopping.is_set():
                        self._follow(pod)

    def _follow(self, pod: Object) -> None:
        name = str(pod["metadata"]["name"])
        try:
            self._switch(pod)
        except (FaultError, KubeError) as error:  # it may not listen yet; the next look tries again
            self.missed[name] = error.message
            return
        self._on.add(_life(pod))
        self.missed.pop(name, None)


def _life(pod: Object) -> str:
    """Return what changes when a pod, or one of its containers, is started again."""
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return " ".join([str(pod["metadata"]["uid"]), *sorted(str(one.get("containerID", "")) for one in statuses)])
