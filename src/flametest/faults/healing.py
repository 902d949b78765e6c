"""Takes faults back from their undo records: for the wrapper, for the next command, and for the guardian.

Everything here may be repeated. A record is removed only after its fault was seen to be healed, or after the cluster
that it was injected into was seen to be gone with everything in it. An error is neither: the record stays.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from flametest.faults.catalogue import HEALERS
from flametest.faults.errors import HealError
from flametest.faults.lanes import Lane, Step
from flametest.faults.overlap import to_be_healed_before
from flametest.faults.own_namespace import OWN_NAMESPACE
from flametest.faults.own_namespace import remove as remove_namespace
from flametest.faults.readback import same, standing
from flametest.faults.undo import Place, UndoJournal, UndoRecord
from flametest.kube import KubeClient, connect
from flametest.kube.errors import ApiRejectedError
from flametest.kube.resources import NAMESPACES
from flametest.kube.snapshots import find
from flametest.model.errors import FlametestError

__all__ = ["BOUNDS", "Bounds", "Healing", "cluster_uid", "heal_all", "place_of"]

SYSTEM_NAMESPACE = "kube-system"
FORBIDDEN = "Forbidden"
NOTHING = "nothing is left to heal"
MARGIN_SECONDS = 5.0
AFTERWARDS = "heal that one first; `flametest undo` does both in their order"
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


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long the steps of healing one record may take.

    Attributes:
        claim_seconds: until another process that heals it has finished.
        answer_seconds: until its cluster has answered once, the credential program of its kubeconfig included.
        heal_seconds: from then on; each fault has bounds of its own, which are shorter.
    """

    claim_seconds: float = 0.0
    answer_seconds: float = 45.0  # more than a credential program may take, whose own error says more
    heal_seconds: float = 240.0


BOUNDS = Bounds(claim_seconds=45.0)


def place_of(client: KubeClient, kubeconfig: str, context: str) -> Place:
    """Return where a client's faults are.

    Raises:
        KubeError: the API is unreachable.
    """
    # The guardian has another working directory.
    files = os.pathsep.join(str(Path(part).expanduser().absolute()) for part in kubeconfig.split(os.pathsep) if part)
    return Place(files, context, cluster_uid(client))


def cluster_uid(client: KubeClient) -> str:
    """Return what tells this cluster from all others; empty where its user may not ask for it.

    Raises:
        KubeError: the API is unreachable, or did not answer with either.
    """
    try:
        return _cluster_uid(client)
    except ApiRejectedError as error:
        if error.reason == FORBIDDEN:
            return ""
        raise


def _cluster_uid(client: KubeClient) -> str:
    found = find(client.api, NAMESPACES, "", SYSTEM_NAMESPACE)
    return str(found["metadata"]["uid"]) if found else ""


def _healed(client: KubeClient, record: UndoRecord) -> str:
    healer = _HEALERS.get(record.fault)
    if healer is None:
        raise HealError(
            f"no fault is called {record.fault!r}", "heal it by the version of Flametest that injected it, or by hand"
        )
    return healer(client, record.state)


def _gone(client: KubeClient, record: UndoRecord) -> str:
    """Return that something has taken the fault along, and what; empty when nothing has.

    That takes proof: another uid that was read, or the API's own 404. A record of a user who could not read the uid of
    the cluster goes by the uids of its namespaces and objects; one that has it waits until it can be read again.

    Raises:
        HealError: the cluster does not say which one it is, or a namespace is still being deleted.
        KubeError: the API is unreachable or refused.
    """
    if record.place.cluster_uid:
        uid = _cluster_uid(client)
        if not uid:
            raise HealError(
                f"the cluster has no namespace {SYSTEM_NAMESPACE}, so it cannot be identified",
                "is the API server being restarted?",
            )
        if uid != record.place.cluster_uid:
            return f"{NOTHING}: another cluster answers in the place of the one that it was injected into (uid {uid})"
    if not record.targets or any(not target.namespace for target in record.targets):
        return ""  # something that belongs to no namespace outlives them all
    gone = [_namespace_gone(client, name, record) for name in sorted({one.namespace for one in record.targets})]
    return gone[0] if all(gone) else ""


def _namespace_gone(client: KubeClient, name: str, record: UndoRecord) -> str:
    found = standing(client, NAMESPACES, "", name)
    if found is None:
        return f"{NOTHING}: namespace {name} is gone, and everything in it"
    if not same(found, record.namespaces.get(name, "")):
        return f"{NOTHING}: namespace {name} was deleted with everything in it, and another one has its name"
    return ""


def heal_all(
    journal: UndoJournal,
    records: Sequence[UndoRecord],
    connecting: Callable[[str, str], KubeClient] = connect,
    bounds: Bounds = BOUNDS,
) -> tuple[Healing, ...]:
    """Heal records, each also when another cannot be healed, and return what became of each within bounded time.

    Those of one cluster are healed in their order, clusters side by side.

    Args:
        journal: where they are; a healed one is removed.
        records: what to heal; one that another process has healed meanwhile is left out.
        connecting: makes a client for a kubeconfig and a context.
        bounds: how long each step may take.
    """
    by_place: dict[tuple[str, str], list[UndoRecord]] = {}
    for record in records:
        by_place.setdefault((record.place.kubeconfig, record.place.context), []).append(record)

    def do(record: UndoRecord, step: Step) -> Healing | None:
        return _heal_one(journal, record, connecting, bounds, step)

    lanes = [Lane(one, do) for one in by_place.values()]
    for lane in lanes:
        lane.start()
    found = [healing for lane in lanes for healing in lane.results(_late, _untried)]
    return tuple(healing for healing in found if healing is not None)


def _heal_one(
    journal: UndoJournal,
    record: UndoRecord,
    connecting: Callable[[str, str], KubeClient],
    bounds: Bounds,
    step: Step,
) -> Healing | None:
    try:
        step("its undo record was not to be had", bounds.claim_seconds + MARGIN_SECONDS)
        with journal.claimed(record, bounds.claim_seconds) as there:
            if not there:
                return None
            record = journal.read(record)  # another one may have handed something over to it meanwhile
            if later := to_be_healed_before(journal.records()[0], record):
                raise HealError(
                    f"{later.title!r} came later to the same object, and has to be healed first", AFTERWARDS
                )
            step(f"the cluster of context {record.place.context!r} did not answer", bounds.answer_seconds)
            with closing(connecting(record.place.kubeconfig, record.place.context)) as client:
                evidence = _gone(client, record)
                step("it was not healed", bounds.heal_seconds)
                evidence = evidence or _healed(client, record)
            journal.remove(record)
    except FlametestError as error:
        return Healing(record.title, False, error.message, error.remedy)
    except Exception as error:  # of whatever kind: the other records have to be healed as well
        return Healing(record.title, False, f"{type(error).__name__}: {error}", "heal it by hand")
    return Healing(record.title, True, evidence)


def _late(record: UndoRecord, what: str, seconds: float) -> Healing:
    remedy = "does the credential program of its kubeconfig hang, or the API server? fix that"
    return Healing(record.title, False, f"{what} within {seconds:g} s", remedy)


def _untried(record: UndoRecord) -> Healing:
    return Healing(record.title, False, "its cluster did not answer for a fault that came later", AFTERWARDS)
