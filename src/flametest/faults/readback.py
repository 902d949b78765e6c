"""How every heal looks at objects, changes them, and reads back what came of it.

Healed is what was read, never what was sent. An object that is being deleted is not there: it is waited for, since
what comes after it decides. A change is sent for the very version that was read, so that what somebody else does at
the same moment is seen and not overwritten.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from flametest.faults.errors import HealError
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.errors import ConflictError, NotFoundError
from flametest.kube.resources import Object, Resource
from flametest.kube.snapshots import find, is_ending

__all__ = ["ENDING_SECONDS_MAX", "change", "gone", "remove", "same", "standing"]

ENDING_SECONDS_MAX = 20.0
CHANGE_TRIES_MAX = 10  # the status of a busy workload changes several times a second
AGAIN = "run `flametest undo` again when it is gone"


def standing(client: KubeClient, resource: Resource, namespace: str, name: str) -> Object | None:
    """Return an object that stays, or None when there is none; one that is being deleted is waited for.

    Raises:
        HealError: it is still being deleted after `ENDING_SECONDS_MAX`.
        KubeError: the API is unreachable or refused.
    """
    found: list[Object | None] = [None]

    def decided() -> bool:
        found[0] = find(client.api, resource, namespace, name)
        return found[0] is None or not is_ending(found[0])

    if not wait_for(decided, ENDING_SECONDS_MAX):
        held = (found[0] or {}).get("metadata", {}).get("finalizers") or []
        because = f", held by the finalizers {', '.join(map(str, held))}" if held else ""
        raise HealError(
            f"{resource.kind} {name} is being deleted, and is still there after {ENDING_SECONDS_MAX:g} s{because}",
            AGAIN,
        )
    return found[0]


def same(found: Object | None, uid: str) -> bool:
    """Return whether an object is the very one that a fault was injected into; old records know no uid."""
    return found is not None and (not uid or found["metadata"]["uid"] == uid)


def gone(found: Object | None, uid: str) -> str:
    """Return why an object that a fault was injected into is not there any more, as a predicate; empty when it is."""
    if found is None:
        return "is gone: nothing is left to heal"
    return "" if same(found, uid) else "was recreated by somebody else: nothing is left to heal"


def change(
    client: KubeClient,
    resource: Resource,
    found: Object,
    decide: Callable[[Object], Object | None],
    left: Callable[[Object], Sequence[str]],
) -> Object:
    """Change an object as ``decide`` says, and return it as it was read afterwards.

    Args:
        client: the cluster.
        resource: its kind.
        found: the object as it was read.
        decide: the merge patch for an object as it was just read; None when it is not to be changed.
        left: what of the fault an object that was read still shows; empty for nothing.

    Raises:
        HealError: it was not as it should be afterwards, or changed with every try.
        KubeError: the API is unreachable or refused.
    """
    namespace, name = found["metadata"].get("namespace", ""), found["metadata"]["name"]
    path = resource.path(namespace, name)
    for _ in range(CHANGE_TRIES_MAX):
        patch = decide(found)
        if patch is None:
            return found
        with suppress(ConflictError, NotFoundError):  # somebody else has changed or deleted it meanwhile: look again
            client.api.send("PATCH", path, _for_this_version(found, patch), content_type=MERGE)
        now = find(client.api, resource, namespace, name)
        if now is None or not same(now, found["metadata"]["uid"]):
            raise HealError(f"{resource.kind} {name} was deleted while it was healed", "run `flametest undo` again")
        if not left(now):
            return now
        found = now
    raise HealError(f"{resource.kind} {name} is not as it was: {'; '.join(left(found))}", "see who else changes it")


def remove(
    client: KubeClient, resource: Resource, namespace: str, name: str, *, seconds_max: float, at_once: bool = False
) -> bool:
    """Delete an object, wait until the API says that it is gone, and return whether there was one.

    Raises:
        HealError: it is still there after ``seconds_max``.
        KubeError: the API is unreachable or refused.
    """
    if find(client.api, resource, namespace, name) is None:
        return False
    options: Object = {"propagationPolicy": "Background"} | ({"gracePeriodSeconds": 0} if at_once else {})
    with suppress(NotFoundError):  # whether that is so is asked below
        client.api.send("DELETE", resource.path(namespace, name), options)
    if not wait_for(lambda: find(client.api, resource, namespace, name) is None, seconds_max):
        raise HealError(
            f"{resource.kind} {name} is still there after {seconds_max:g} s", "see its events, and run `flametest undo`"
        )
    return True


def _for_this_version(found: Object, patch: Object) -> Object:
    version = found["metadata"].get("resourceVersion")
    return patch if version is None else patch | {"metadata": patch.get("metadata", {}) | {"resourceVersion": version}}
