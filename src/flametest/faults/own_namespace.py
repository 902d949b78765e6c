"""A namespace of Flametest's own, for what it puts into a cluster beside the system under test; gone on every way out.

Pods that send load live in one, so that a single request removes everything. It is taken back as a fault is: its undo
record is on disk before it is made, and after SIGKILL the guardian removes it, or the next command, or `flametest
undo`. It bears the label `MARK`, and no namespace without that is removed.
"""

from flametest.faults.errors import HealError
from flametest.faults.protocol import State
from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError, NotFoundError
from flametest.kube.resources import NAMESPACES
from flametest.kube.snapshots import find

__all__ = ["MARK", "OWN_NAMESPACE", "remove", "state_of"]

OWN_NAMESPACE = "own_namespace"
"""What undo records of such a namespace say in the place of a fault's name."""

MARK = "flametest.dev/own"


def state_of(namespace: str) -> State:
    """Return what `remove` needs."""
    return {"namespace": namespace}


def remove(client: KubeClient, state: State) -> str:
    """Have a namespace removed with everything in it, and return what was done; one that is gone is no error.

    It returns when the API has accepted that, which cannot be taken back; the cluster then ends what is in it.

    Raises:
        HealError: the namespace is not Flametest's, or may not be removed.
        KubeError: the API is unreachable.
    """
    name = str(state["namespace"])
    found = find(client.api, NAMESPACES, "", name)
    if found is None:
        return f"namespace {name} is gone"
    if MARK not in (found["metadata"].get("labels") or {}):
        raise HealError(f"namespace {name} does not bear the label {MARK}", "it is not Flametest's; look at it by hand")
    try:
        client.api.send("DELETE", NAMESPACES.path(name=name))
    except NotFoundError:
        return f"namespace {name} is gone"
    except ApiRejectedError as error:
        raise HealError(
            f"namespace {name} cannot be removed: {error.told}", f"kubectl delete namespace {name}"
        ) from error
    return f"namespace {name} is being removed, with everything in it"
