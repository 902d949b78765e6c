"""Run a container out of its memory: a process inside takes as much as the container's limit, and the kernel kills.

One block of the limit's size is filled by ``dd``, so that never more than that is taken, wherever it happens. Who is
killed is the container's first process, as when it had leaked: it is marked as the first to be killed before, which any
process may do to those of its own user. Kubernetes starts the container again, as `OOMKilled`.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from flametest.faults.errors import FaultError
from flametest.faults.inside import Inside, container_spec, container_status, inside_of, lines_of, run
from flametest.faults.protocol import Proof, State
from flametest.faults.selection import PodSelection, foretold
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.pods import default_container
from flametest.kube.resources import PODS, Object
from flametest.kube.snapshots import find
from flametest.model.events import Target

__all__ = ["MemoryHog"]

PROOF_SECONDS_MAX = 45.0  # the container is started again, and the kubelet tells so
OUT_OF_MEMORY = "OOMKilled"
_TAKEN = "all-of-it-was-taken"
_LOOK = 'for name in dd cat; do command -v "$name" >/dev/null && echo "$name"; done'
# The marks are put back should nobody be killed: raising one is allowed to all, and lowering it again to what it was.
_FILL = f"""
file=/proc/1/oom_score_adj; before=$(cat $file); echo 1000 > $file
size=$1; shift
dd if=/dev/zero of=/dev/null bs="$size" count=1 "$@" 2>&1 && echo {_TAKEN}
echo "$before" > $file
"""
READ_BYTES_MAX = 2**31 - 4096  # of one read(2); dd has to be told to go on for a larger block


@dataclass(frozen=True, slots=True)
class MemoryHog:
    """Take all the memory of a container of the selected pods; without a name, of the pod's main one."""

    name: ClassVar[str] = "memory_hog"
    lasts: ClassVar[bool] = False

    selection: PodSelection
    container: str = ""

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"take all the memory of a container in pods with {self.selection}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the pods that will be drawn."""
        return foretold(replace(self.selection, running=True), client)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return how often each container was restarted.

        Raises:
            FaultError: a container has no limit of memory, or nothing to take it with.
        """
        restarts = {}
        for target in targets:
            where, pod = inside_of(client, target, self.container)
            _limit(where, pod)
            missing = {"dd", "cat"} - {word for line in lines_of(client, where, _LOOK) for word in line}
            if missing:
                raise FaultError(
                    f"nothing in {where} can take memory, since its image has no {' and no '.join(sorted(missing))}",
                    "choose a container that has them",
                )
            restarts[target.name] = int(container_status(pod, where.container).get("restartCount", 0))
        return restarts

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Take it.

        Raises:
            FaultError: as much as the limit was taken, and nobody was killed.
        """
        for target in targets:
            where, pod = inside_of(client, target, self.container)
            limit = _limit(where, pod)
            whole = ["iflag=fullblock"] if limit > READ_BYTES_MAX else []
            done = run(client, where, _FILL, str(limit), *whole, mutating=True)
            if _TAKEN in done.output:
                raise FaultError(
                    f"{where} took all of its limit of {limit} bytes, and nothing was killed: limits of memory are not "
                    "enforced here",
                    "run it where they are; the sandbox enforces them for root, on a machine of its own",
                )

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until each container was restarted because its memory ran out."""

        def killed(target: Target) -> bool:
            pod = find(client.api, PODS, target.namespace, target.name)
            if pod is None:
                return False
            status = container_status(pod, self.container or default_container(pod))
            ends = [(status.get(key) or {}).get("terminated") or {} for key in ("state", "lastState")]
            grown = int(status.get("restartCount", 0)) > int(state[target.name])
            return grown and OUT_OF_MEMORY in [end.get("reason") for end in ends]

        names = ", ".join(target.name for target in targets)
        if wait_for(lambda: all(killed(target) for target in targets), PROOF_SECONDS_MAX):
            return Proof(True, f"a container of {names} was {OUT_OF_MEMORY} and started again")
        return Proof(
            False,
            f"no container of {names} was {OUT_OF_MEMORY} within {PROOF_SECONDS_MAX:g} s: are limits enforced here?",
        )

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Return that there is nothing to do."""
        return "containers that ran out of memory are started again by Kubernetes"


def _limit(where: Inside, pod: Object) -> int:
    """Return a container's limit of memory in bytes."""
    from kubernetes.utils.quantity import parse_quantity  # noqa: PLC0415 (takes more than a second)

    resources = container_spec(pod, where.container).get("resources") or {}
    limit = (resources.get("limits") or {}).get("memory")
    if limit is None:
        raise FaultError(
            f"{where} has no limit of memory, so that it would take that of its node, and of everybody there",
            "give it one: resources.limits.memory",
        )
    return int(parse_quantity(limit))
