"""Takes faults back from their undo records: for the wrapper, for the next command, and for the guardian.

Everything here may be repeated. A record is removed only after its fault is healed, or after the cluster that it was
injected into turned out to be gone with everything in it.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from flametest.faults.catalogue import HEALERS
from flametest.faults.errors import HealError
from flametest.faults.own_namespace import OWN_NAMESPACE
from flametest.faults.own_namespace import remove as remove_namespace
from flametest.faults.undo import Place, UndoJournal, UndoRecord
from flametest.kube import KubeClient, connect
from flametest.kube.errors import ApiRejectedError
from flametest.kube.resources import NAMESPACES
from flametest.kube.snapshots import find
from flametest.model.errors import FlametestError

__all__ = ["Healing", "cluster_uid", "heal", "heal_all", "place_of"]

SYSTEM_NAMESPACE = "kube-system"
_HEALERS = {**HEALERS, OWN_NAMESPACE: remove_namespace}


@dataclass(frozen=True, slots=True)
class Healing:
    """What became of one undo record.

    Attributes:
        title: what the fault did.
        healed: whether nothing of it is left.
        evidence: what was done, or why it could not be.
        remedy: what to do about a fault that could not be healed.
    """

    title: str
    healed: bool
    evidence: str
    remedy: str = ""


def place_of(client: KubeClient, kubeconfig: str, context: str) -> Place:
    """Return where a client's faults are.

    Raises:
        KubeError: the API is unreachable.
    """
    # The guardian has another working directory.
    files = os.pathsep.join(str(Path(part).expanduser().absolute()) for part in kubeconfig.split(os.pathsep) if part)
    return Place(files, context, cluster_uid(client))


def cluster_uid(client: KubeClient) -> str:
    """Return what tells this cluster from all others; empty where one may not ask for it.

    Raises:
        KubeError: the API is unreachable.
    """
    try:
        found = find(client.api, NAMESPACES, "", SYSTEM_NAMESPACE)
    except ApiRejectedError:
        return ""
    return str(found["metadata"]["uid"]) if found else ""


def heal(client: KubeClient, record: UndoRecord) -> str:
    """Take one fault back and return what was done, in a sentence.

    Raises:
        HealError: it could not be taken back.
        KubeError: the API is unreachable or refused.
    """
    if record.place.cluster_uid not in ("", cluster_uid(client)):
        return "nothing is left to heal: another cluster answers in the place of the one that it was injected into"
    namespaces = {target.namespace for target in record.targets if target.namespace}
    gone = sorted(name for name in namespaces if find(client.api, NAMESPACES, "", name) is None)
    if gone and len(gone) == len(namespaces):
        return f"nothing is left to heal: namespace {gone[0]} is gone, and everything in it"
    healer = _HEALERS.get(record.fault)
    if healer is None:
        raise HealError(
            f"no fault is called {record.fault!r}", "heal it by the version of Flametest that injected it, or by hand"
        )
    return healer(client, record.state)


def heal_all(
    journal: UndoJournal,
    records: Sequence[UndoRecord],
    connecting: Callable[[str, str], KubeClient] = connect,
) -> tuple[Healing, ...]:
    """Heal records in their order, each also when another cannot be healed, and return what became of each.

    Args:
        journal: where they are; a healed one is removed.
        records: what to heal; one that another process has healed meanwhile is left out.
        connecting: makes a client for a kubeconfig and a context.
    """
    found = (_heal_one(journal, record, connecting) for record in records)
    return tuple(healing for healing in found if healing is not None)


def _heal_one(journal: UndoJournal, record: UndoRecord, connecting: Callable[[str, str], KubeClient]) -> Healing | None:
    try:
        with journal.locked():
            if not journal.has(record):
                return None
            with closing(connecting(record.place.kubeconfig, record.place.context)) as client:
                evidence = heal(client, record)
            journal.remove(record)
    except FlametestError as error:
        return Healing(record.title, False, error.message, error.remedy)
    except Exception as error:  # of whatever kind: the other records have to be healed as well
        return Healing(record.title, False, f"{type(error).__name__}: {error}", "heal it by hand")
    return Healing(record.title, True, evidence)
