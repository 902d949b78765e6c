"""Keep processors busy inside of a container: so many processes that do nothing but count, until they are ended.

Each is a shell of the container's own, and ends by itself: it looks at the clock now and then, and the kernel ends it
should it use more processor time than that. They take from what the container has, inside of its limit.
"""

import secrets
from dataclasses import dataclass, field, replace
from typing import ClassVar

from flametest.faults.errors import FaultError
from flametest.faults.inside import Inside, end, hold, inside_of, lines_of, mark
from flametest.faults.protocol import Proof, State
from flametest.faults.selection import PodSelection, foretold
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.errors import KubeError
from flametest.model.events import Target
from flametest.model.plurals import counted, were

__all__ = ["CpuHog"]

PROCESSES_MAX = 16
SECONDS_MAX = 600.0
PROOF_SECONDS_MAX = 10.0
TICKS_MIN = 10  # of processor time, a hundredth of a second each; less proves no busy process
_BUSY = """
ulimit -t "$1" 2>/dev/null
read -r now rest < /proc/uptime; end=$((${now%.*} + $1))
echo started
exec > /dev/null 2>&1
while :; do
  count=0; while [ $count -lt 20000 ]; do count=$((count + 1)); done
  read -r now rest < /proc/uptime; [ "${now%.*}" -lt $end ] || exit 0
done
"""
# The time that each process has used, in ticks: fields 14 and 15 of proc(5), counted behind the name.
_TICKS = """
for folder in /proc/[0-9]*; do
  [ "${folder#/proc/}" = $$ ] && continue
  { read -r line < "$folder/cmdline"; } 2>/dev/null
  case $line in *"$1-$2"*) ;; *) continue ;; esac
  { read -r line < "$folder/stat"; } 2>/dev/null || continue
  set -- "$1" "$2" ${line##*) }
  echo "$((${14} + ${15}))"
done
"""


@dataclass(frozen=True, slots=True)
class CpuHog:
    """Run ``processes`` busy processes in a container of each selected pod, for ``seconds_max`` at most."""

    name: ClassVar[str] = "cpu_hog"
    lasts: ClassVar[bool] = True

    selection: PodSelection
    processes: int = 2
    container: str = ""
    seconds_max: float = 120.0
    key: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"run {counted(self.processes, 'busy process')} in pods with {self.selection}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the pods that will be drawn."""
        if not 1 <= self.processes <= PROCESSES_MAX:
            raise FaultError(
                f"{counted(self.processes, 'process')} {were(self.processes)} asked for",
                f"ask for 1 to {PROCESSES_MAX}",
            )
        if not 1 <= self.seconds_max <= SECONDS_MAX:
            raise FaultError(f"seconds_max is {self.seconds_max:g}", f"ask for 1 to {SECONDS_MAX:g} seconds")
        return foretold(replace(self.selection, running=True), client)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the containers, and the key by which the processes are found.

        Raises:
            FaultError: a container has no shell.
        """
        containers = [inside_of(client, target, self.container)[0] for target in targets]
        for where in containers:
            self._ticks(client, where)
        return {"containers": [where.as_state() for where in containers], "key": self.key}

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Start them."""
        for target in targets:
            where, _ = inside_of(client, target, self.container)
            for _ in range(self.processes):
                hold(client, where, self.key, _BUSY, str(int(self.seconds_max)))

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until every one of them has used processor time."""
        last = [""]

        def busy(where: Inside) -> bool:
            try:
                ticks = self._ticks(client, where)
            except (FaultError, KubeError) as error:
                last[0] = error.message
                return False
            last[0] = f"{counted(len(ticks), 'busy process')} {'runs' if len(ticks) == 1 else 'run'} in {where}"
            return len(ticks) == self.processes and min(ticks) >= TICKS_MIN

        told = []
        for where in map(Inside.of, state["containers"]):
            if not wait_for(lambda where=where: busy(where) or None, PROOF_SECONDS_MAX):  # type: ignore[misc]
                return Proof(False, f"{last[0]}, and not each of {self.processes} was seen to use processor time")
            told.append(last[0])
        return Proof(True, "; ".join(told))

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """End them."""
        return "; ".join(end(client, Inside.of(one), str(state["key"])) for one in state["containers"])

    def _ticks(self, client: KubeClient, where: Inside) -> list[int]:
        """Return how much processor time each of the busy processes has used, in hundredths of a second."""
        prefix, _, key = mark(self.key).rpartition("-")
        return [int(*words) for words in lines_of(client, where, _TICKS, prefix, key)]
