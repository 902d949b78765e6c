"""A namespace of Flametest's own, for what it puts into a cluster beside the system under test; gone on every way out.

Pods that send load live in one, so that a single request removes everything. It is taken back as a fault is: its undo
record is on disk before it is made, and after SIGKILL the guardian removes it, or the next command, or `flametest
undo`. It bears the label `MARK`, and no namespace without that is removed.
"""

from flametest.faults.errors import HealError
from flametest.faults.protocol import State
from flametest.faults.readback import remove as remove_object
from flametest.kube import KubeClient
from flametest.kube.resources import NAMESPACES
from flametest.kube.snapshots import find

__all__ = ["MARK", "OWN_NAMESPACE", "remove", "state_of"]

OWN_NAMESPACE = "own_namespace"
"""What undo records of such a namespace say in the place of a fault's name."""

MARK = "flametest.dev/own"
GONE_SECONDS_MAX = 60.0


def state_of(namespace: str) -> State:
    """Return what `remove` needs."""
    return {"namespace": namespace}


def remove(client: KubeClient, state: State) -> str:
    """Remove a namespace with everything in it, and return what was done; one that is gone is no error.

    Raises:
        HealError: the namespace is not Flametest's, or is still there after `GONE_SECONDS_MAX`.
        KubeError: the API is unreachable or refused.
    """
    name = str(state["namespace"])
    found = find(client.api, NAMESPACES, "", name)
    if found is None:
        return f"namespace {name} is gone"
    if MARK not in (found["metadata"].get("labels") or {}):
        raise HealError(f"namespace {name} does not bear the label {MARK}", "it is not Flametest's; check it by hand")
    remove_object(client, NAMESPACES, "", name, seconds_max=GONE_SECONDS_MAX)
    return f"namespace {name} was removed, with everything in it"
