"""A container's processes stand still: SIGSTOP, sent from inside, and SIGCONT to heal.

What has connected gets no answer, and no error either; the kernel goes on accepting connections for it. Probes fail in
time, and a liveness probe that restarts the container ends the fault, as it is meant to.

Nobody inside a container can stop its first process, since the kernel drops that signal there; see
https://man7.org/linux/man-pages/man7/pid_namespaces.7.html. So what the first process has started is stopped; where it
has started nothing, only the sandbox can stop it, from outside, by an annotation of the pod.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

from flametest.faults.errors import FaultError
from flametest.faults.inside import Inside, healed_inside, inside_of, lines_of, run
from flametest.faults.node_loss import PROVIDER
from flametest.faults.protocol import Proof, State
from flametest.faults.readback import change, gone, standing
from flametest.faults.selection import PodSelection, foretold
from flametest.faults.waiting import wait_for
from flametest.faults.workloads import existing
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.errors import KubeError
from flametest.kube.resources import NODES, PODS, Object
from flametest.model.events import Target
from flametest.model.plurals import counted

__all__ = ["FROZEN_ANNOTATION", "FrozenProcess"]

FROZEN_ANNOTATION = "sandbox.flametest.dev/frozen"
PROOF_SECONDS_MAX = 10.0
STOPPING_ROUNDS_MAX = 3  # what starts another process at that very moment is stopped in the next round
_STOPPED = ("T", "t")
_DEAD = ("Z", "X")  # what a probe has left that was killed, until the first process takes note
# A number, its parent's and its state, in each line: proc(5). The name in parentheses may hold anything.
_LOOK = """
for file in /proc/[0-9]*/stat; do
  { read -r line < "$file"; } 2>/dev/null || continue
  number=${line%% *}; line=${line##*) }; state=${line%% *}; line=${line#* }
  echo "$number ${line%% *} $state"
done
"""
_SIGNAL = 'name=$1; shift; for number; do kill -"$name" "$number" 2>/dev/null; done; :'


@dataclass(frozen=True, slots=True)
class FrozenProcess:
    """Stop the processes of a container of the selected pods; without a name, of the pod's main one."""

    name: ClassVar[str] = "frozen_process"
    lasts: ClassVar[bool] = True

    selection: PodSelection
    container: str = ""

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"stop the processes of a container in pods with {self.selection}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the pods that will be drawn."""
        return foretold(replace(self.selection, running=True), client)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the containers, and how each is stopped.

        Raises:
            FaultError: one stands still already, has no shell, or consists of its first process.
        """
        return {"containers": [self._recorded(client, target) for target in targets]}

    def _recorded(self, client: KubeClient, target: Target) -> State:
        where, pod = inside_of(client, target, self.container)
        found = _processes(client, where)
        if any(state in _STOPPED for state in found.values()):
            raise FaultError(f"processes of {where} are already stopped", "run `flametest undo` first")
        by_signals = len(found) > 1
        if not by_signals and not _in_sandbox(client, pod):
            raise FaultError(
                f"{where} consists of its first process, which the kernel lets nobody stop from inside",
                'let callers feel it by inject_edge with the effect {"silence": true}; or run this on the sandbox',
            )
        return where.as_state() | {"by_signals": by_signals}

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Stop them."""
        for target in targets:
            where, _ = inside_of(client, target, self.container)
            if len(_processes(client, where)) > 1:
                _stop(client, where)
            else:
                body = {"metadata": {"annotations": {FROZEN_ANNOTATION: where.container_id}}}
                client.api.send("PATCH", PODS.path(where.namespace, where.pod), body, content_type=MERGE)

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until the processes of each container are seen to stand still."""
        evidence = []
        for one in state["containers"]:
            told = [""]
            if not wait_for(partial(_stands_still, client, one, told), PROOF_SECONDS_MAX):
                return Proof(False, told[0])
            evidence += told
        return Proof(True, "; ".join(evidence))

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Let them run again."""
        return "; ".join(_resumed(client, one) for one in state["containers"])


def _in_sandbox(client: KubeClient, pod: Object) -> bool:
    """Return whether a pod runs in the sandbox; not where nodes may not be read, so that nobody can tell."""
    try:
        node = existing(client, NODES, "", str(pod["spec"].get("nodeName", "")))
    except (FaultError, KubeError):
        return False
    return str(node.get("spec", {}).get("providerID", "")).startswith(PROVIDER)


def _stands_still(client: KubeClient, state: State, told: list[str]) -> bool:
    """Return whether all of a container stands still that can be stopped, and put into ``told`` what was seen."""
    where = Inside.of(state)
    try:
        found = _processes(client, where)
    except (FaultError, KubeError) as error:  # a liveness probe may have restarted it
        told[0] = f"{where} could not be asked: {error.message}"
        return False
    first = found.pop(1, "")
    meant = list(found.values()) if state["by_signals"] else [first]
    stopped = sum(one in _STOPPED for one in meant)
    told[0] = f"{stopped} of {counted(len(meant), 'process')} of {where} {'stands' if stopped == 1 else 'stand'} still"
    told[0] += ", its first one keeps running" if state["by_signals"] else ""
    return stopped == len(meant)


def _processes(client: KubeClient, where: Inside) -> dict[int, str]:
    """Return the states of a container's processes, without those that were executed beside them, as probes are."""
    found = {int(number): (int(parent), state) for number, parent, state in lines_of(client, where, _LOOK)}
    return {number: state for number, (_, state) in found.items() if _is_own(number, found) and state not in _DEAD}


def _is_own(number: int, found: dict[int, tuple[int, str]]) -> bool:
    """Return whether a process descends from the first one; what is executed has no parent in the container."""
    while number in found and number != 1:
        number = found[number][0]
    return number == 1


def _stop(client: KubeClient, where: Inside) -> None:
    for _ in range(STOPPING_ROUNDS_MAX):
        found = _processes(client, where)
        running = [str(number) for number, state in found.items() if number != 1 and state not in _STOPPED]
        if not running:
            return
        run(client, where, _SIGNAL, "STOP", *running, mutating=True)


def _resumed(client: KubeClient, state: State) -> str:
    where = Inside.of(state)
    thawed = _thaw(client, where)
    return healed_inside(client, where, lambda: _continued(client, where, thawed=thawed))


def _continued(client: KubeClient, where: Inside, *, thawed: bool) -> str | None:
    """Continue what is stopped, and return what was done once nothing is stopped any more."""
    stopped = [str(number) for number, state in _processes(client, where).items() if state in _STOPPED]
    if not stopped:
        return f"the first process of {where} runs again" if thawed else f"no process of {where} stands still"
    run(client, where, _SIGNAL, "CONT", *stopped, mutating=True)
    left = [number for number, state in _processes(client, where).items() if state in _STOPPED]
    told = f"{counted(len(stopped), 'process')} of {where} {'runs' if len(stopped) == 1 else 'run'} again"
    return None if left else told


def _thaw(client: KubeClient, where: Inside) -> bool:
    """Take the annotation away that has the sandbox stop the first process, and return whether it was there."""

    def left(pod: Object) -> bool:
        return FROZEN_ANNOTATION in (pod["metadata"].get("annotations") or {})

    found = standing(client, PODS, where.namespace, where.pod)
    if found is None or gone(found, where.uid) or not left(found):
        return False
    change(
        client,
        PODS,
        found,
        lambda pod: {"metadata": {"annotations": {FROZEN_ANNOTATION: None}}} if left(pod) else None,
        lambda pod: ["its first process is stopped"] if left(pod) else [],
    )
    return True
