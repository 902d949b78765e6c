"""Inside a container: which one a fault acts in, and shell scripts that are executed there, few and short.

What an image has to offer is a shell with its own commands, and little more. So the scripts here use those alone where
they can; an image without a shell is found out before anything is done. What a script leaves running bears a mark in
its command line or its environment, by which any later process finds and ends it. Nothing of it outlives the container.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

from flametest.faults.errors import FaultError, HealError
from flametest.faults.protocol import State
from flametest.faults.readback import gone, standing
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError
from flametest.kube.execute import Begun, Executed, begin, execute
from flametest.kube.pods import default_container
from flametest.kube.resources import PODS, Object
from flametest.kube.snapshots import find
from flametest.model.events import Target
from flametest.model.plurals import counted, were

__all__ = [
    "Inside",
    "container_spec",
    "container_status",
    "end",
    "healed_inside",
    "hold",
    "inside_of",
    "lines_of",
    "mark",
    "run",
]

EXEC_SECONDS_MAX = 10.0
TRIES_SECONDS_MAX = 15.0  # a container that is being restarted takes no command
# How API servers refuse to execute a command in a container that does not run at that moment.
_NOT_RUNNING = (400, 404, 409, 500)
_Done = TypeVar("_Done")
_END = "that-is-all"
_MARK = "flametest-held"
# The mark comes in two parts, so that this very script does not bear it.
_END_ALL = """
[ -z "$3" ] || rm -f "$3"
for folder in /proc/[0-9]*; do
  number=${folder#/proc/}; [ "$number" = $$ ] && continue
  for file in cmdline environ; do
    line=; { read -r line < "$folder/$file"; } 2>/dev/null
    case $line in *"$1-$2"*) echo "$number"; kill -9 "$number" 2>/dev/null; break ;; esac
  done
done
"""
_SHELL = ("sh", "-c")

# What keeps its connection open in this process, by its mark; another process that heals needs none of them.
_held: dict[str, list[Begun]] = {}


@dataclass(frozen=True, slots=True)
class Inside:
    """One instance of a container.

    Attributes:
        namespace: of its pod.
        pod: its pod's name.
        uid: its pod's uid.
        container: its name.
        container_id: of the instance, as the pod's status has it; another one is another instance.
    """

    namespace: str
    pod: str
    uid: str
    container: str
    container_id: str

    def __str__(self) -> str:
        return f"container {self.container} of pod {self.pod}"

    def as_state(self) -> State:
        """Return it for an undo record."""
        return asdict(self)

    @classmethod
    def of(cls, state: State) -> "Inside":
        """Return what `as_state` has written; further keys are left aside."""
        return cls(*(str(state[name]) for name in cls.__slots__))


def inside_of(client: KubeClient, target: Target, container: str) -> tuple[Inside, Object]:
    """Return the container of a pod, by its name or the pod's main one, and the pod.

    Raises:
        FaultError: the pod is gone, has no such container, or that does not run.
        KubeError: the API is unreachable or refused.
    """
    pod = find(client.api, PODS, target.namespace, target.name)
    if pod is None or gone(pod, target.uid):
        raise FaultError(f"pod {target.name} is gone", "select pods that stay")
    names = [str(one["name"]) for one in pod["spec"]["containers"]]
    if container and container not in names:
        raise FaultError(f"pod {target.name} has no container {container!r}", f"use one of: {', '.join(names)}")
    name = container or default_container(pod)
    status = container_status(pod, name)
    if (status.get("state") or {}).get("running") is None:
        raise FaultError(f"container {name} of pod {target.name} does not run", "wait until it does")
    return Inside(target.namespace, target.name, target.uid, name, str(status.get("containerID", ""))), pod


def container_spec(pod: Object, name: str) -> Object:
    """Return a container's part of a pod's specification."""
    return next((one for one in pod["spec"]["containers"] if one["name"] == name), {})


def container_status(pod: Object, name: str) -> Object:
    """Return a container's part of a pod's status; empty before there is one."""
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return next((one for one in statuses if one.get("name") == name), {})


def run(client: KubeClient, where: Inside, script: str, *arguments: str, mutating: bool = False) -> Executed:
    """Run a script in a container by its shell, and return how it ended.

    Raises:
        FaultError: the image has no shell, or the container does not run.
        KubeError: the API is unreachable or refused.
    """
    command = [*_SHELL, script, "sh", *arguments]
    return _with_shell(where, _entered(execute, client, where, command, mutating=mutating))


def lines_of(client: KubeClient, where: Inside, script: str, *arguments: str) -> list[list[str]]:
    """Run a script that only looks, and return the words of each line that it wrote.

    Raises:
        FaultError: the image has no shell, the container does not run, or not all of the answer came: no answer is none
            that says "nothing".
        KubeError: the API is unreachable or refused.
    """
    done = run(client, where, f"{script}\necho {_END}", *arguments)
    lines = [line.split() for line in done.output.splitlines()]
    if done.code != 0 or not lines or lines.pop() != [_END]:
        raise FaultError(f"{where} could not be asked: {done.output.strip()[-200:] or 'it gave no answer'}")
    return lines


def hold(client: KubeClient, where: Inside, key: str, script: str, *arguments: str) -> str:
    """Start a script in a container that runs on when this returns, and return the first line that it wrote.

    The connection stays open until `end`, or the end of this process.

    Args:
        client: the cluster.
        where: the container.
        key: by which it is found again; its mark becomes a part of the command line.
        script: what is run; it writes a line once it has begun.
        arguments: of the script, as ``$1`` and so on.

    Raises:
        FaultError: the image has no shell, the container does not run, or the script ended instead.
        KubeError: the API is unreachable or refused.
    """
    command = [*_SHELL, f": {mark(key)}\n{script}", "sh", *arguments]
    begun = _entered(begin, client, where, command, mutating=True)
    if not begun.line:
        begun.close()
        done = _with_shell(where, begun.ended)
        raise FaultError(f"{where} did not begin what was asked of it: {done.output.strip() or f'code {done.code}'}")
    _held.setdefault(mark(key), []).append(begun)
    return begun.line


def mark(key: str) -> str:
    """Return the mark that goes with a key."""
    return f"{_MARK}-{key}"


def end(client: KubeClient, where: Inside, key: str, *, file: str = "") -> str:
    """End everything in a container that bears the mark of a key, and return what was done.

    It is looked twice at least: a process shows no mark in the moment in which it becomes another program.

    Args:
        client: the cluster.
        where: the container.
        key: of the mark.
        file: is removed as well, should it be there.

    Raises:
        HealError: something of it was still there after a bound.
        KubeError: the API is unreachable or refused.
    """
    ended: set[str] = set()
    looks: list[set[str]] = []

    def gone() -> str | None:
        looks.append({word for line in lines_of(client, where, _END_ALL, _MARK, key, file) for word in line})
        ended.update(looks[-1])
        told = f"{counted(len(ended), 'process')} in {where} {were(len(ended))} ended"
        return None if looks[-1] or len(looks) < 2 else told

    try:
        return healed_inside(client, where, gone)
    finally:
        for begun in _held.pop(mark(key), []):
            begun.close()


def healed_inside(client: KubeClient, where: Inside, heal: Callable[[], str | None]) -> str:
    """Heal by commands in a container, and return what was done.

    Args:
        client: the cluster.
        where: the container.
        heal: does it, and returns what was done; None to be tried again.

    Raises:
        HealError: it could not be done within a bound.
        KubeError: the API is unreachable or refused.
    """
    last = [""]

    def done() -> str | None:
        found = standing(client, PODS, where.namespace, where.pod)
        if found is None or gone(found, where.uid):
            return f"pod {where.pod} {gone(found, where.uid)}"
        if (now := str(container_status(found, where.container).get("containerID", ""))) != where.container_id and now:
            return f"{where} was restarted: nothing is left to heal"
        try:
            return heal()
        except FaultError as error:
            last[0] = error.message
        return None

    evidence = wait_for(done, TRIES_SECONDS_MAX)
    if evidence is None:
        raise HealError(f"{where} could not be healed: {last[0] or 'it is as the fault has left it'}", "see its events")
    return evidence


def _entered(
    do: Callable[..., _Done], client: KubeClient, where: Inside, command: list[str], *, mutating: bool
) -> _Done:
    """Return what `execute` or `begin` returns for a container.

    Raises:
        FaultError: it does not run at that moment, whatever its status still says.
        KubeError: the API is unreachable or refused.
    """
    pod, options = (where.namespace, where.pod), {"timeout_seconds": EXEC_SECONDS_MAX, "mutating": mutating}
    try:
        return do(client.api, pod, command, container=where.container, **options)
    except ApiRejectedError as error:
        if error.code not in _NOT_RUNNING:
            raise
        raise FaultError(f"{where} cannot be entered: {error.told}", "wait until it runs") from error


def _with_shell(where: Inside, done: Executed) -> Executed:
    if done.is_program_missing:
        raise FaultError(
            f"nothing can be done in {where}, since its image has no shell: {done.refusal}",
            "choose a container that has one, or a fault that acts from outside, such as inject_edge",
        )
    if done.refusal:
        raise FaultError(f"{where} cannot be entered: {done.refusal}", "wait until it runs")
    return done
