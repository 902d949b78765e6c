"""Fill a mounted volume, down to as many bytes as are to be left, by a file that has no name.

A process inside of the container opens a file on the volume, removes its name, gives it its size, and waits. So the
room comes back however that ends: when it is ended, when its time is over, when the container is, when its node is.

Only a volume is filled that has a file system of its own size: one that lies on its node's disk would fill that, and
with it everybody's there. A claim that says 1 GiB, on a file system of 200 GiB, is such a folder of the node's disk.
"""

import secrets
from dataclasses import dataclass, field, replace
from typing import ClassVar

from flametest.faults.errors import FaultError
from flametest.faults.inside import Inside, container_spec, end, hold, inside_of, lines_of, mark
from flametest.faults.protocol import Proof, State
from flametest.faults.selection import PodSelection, foretold
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.errors import KubeError
from flametest.kube.resources import CLAIMS, Object
from flametest.kube.snapshots import find
from flametest.model.events import Target

__all__ = ["FullVolume"]

SECONDS_MAX = 600.0
PROOF_SECONDS_MAX = 10.0
PROOF_BYTES = 4 * 1024 * 1024  # what a file system may keep for its own books
# A file system takes some of its volume for its own books, and some provisioners round up to whole blocks of theirs.
OWN_SIZE_MAX = 1.25
_NEEDED = "df rm env sleep"
_LOOK = 'for name in $2; do command -v "$name" >/dev/null || echo "missing $name"; done; df -Pk "$1"'
# What is only set aside is not written to the disk beneath. It may lack the last block for the books of that very file.
_FILL = """
file="$1/.$4"
exec 3> "$file" || exit 1
rm -f "$file"
fallocate -l "$2" /proc/self/fd/3 2> /dev/null
[ -s /proc/self/fd/3 ] || dd if=/dev/zero bs=65536 count=$(($2 / 65536)) >&3 2> /dev/null
echo filled
exec env -i "FLAMETEST=$4" "PATH=$PATH" sleep "$3" > /dev/null 2>&1
"""


@dataclass(frozen=True, slots=True)
class _Room:
    """A file system: its size, what of it is free, and where it is mounted."""

    size: int
    free: int
    mounted: str


@dataclass(frozen=True, slots=True)
class FullVolume:
    """Fill the volume of this name in a selected pod until ``leave_bytes`` are free, for ``seconds_max`` at most."""

    name: ClassVar[str] = "full_volume"
    lasts: ClassVar[bool] = True

    selection: PodSelection
    volume: str
    leave_bytes: int = 0
    container: str = ""
    seconds_max: float = 120.0
    key: str = field(default_factory=lambda: secrets.token_hex(6))

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"fill volume {self.volume} of pods with {self.selection} but for {self.leave_bytes} bytes"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the pods that will be drawn."""
        if self.leave_bytes < 0:
            raise FaultError(f"leave_bytes is {self.leave_bytes}", "ask for 0 or more")
        if not 1 <= self.seconds_max <= SECONDS_MAX:
            raise FaultError(f"seconds_max is {self.seconds_max:g}", f"ask for 1 to {SECONDS_MAX:g} seconds")
        return foretold(replace(self.selection, running=True), client)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the containers, and the key by which the process that holds the file is found.

        Raises:
            FaultError: the volume is not there, has no size of its own, or nothing in the container can fill it.
        """
        found = [self._fillable(client, target) for target in targets]
        return {"containers": [where.as_state() | {"path": path} for where, path, _ in found], "key": self.key}

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Fill it."""
        for target in targets:
            where, path, room = self._fillable(client, target)
            size, seconds = str(room.free - self.leave_bytes), str(int(self.seconds_max))
            hold(client, where, self.key, _FILL, path, size, seconds, mark(self.key))

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Look at how much is free."""
        last = [""]

        def full(where: Inside, path: str) -> bool:
            try:
                free = _room(client, where, path).free
            except (FaultError, KubeError) as error:
                last[0] = error.message
                return False
            last[0] = f"{free} bytes are free on volume {self.volume} of pod {where.pod}"
            return free <= self.leave_bytes + PROOF_BYTES

        told = []
        for one in state["containers"]:
            if not wait_for(lambda one=one: full(Inside.of(one), one["path"]) or None, PROOF_SECONDS_MAX):  # type: ignore[misc]
                return Proof(False, last[0])
            told.append(last[0])
        return Proof(True, "; ".join(told))

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """End the process that holds the file; the room comes back with that."""
        key = str(state["key"])
        return "; ".join(
            end(client, Inside.of(one), key, file=f"{one['path']}/.{mark(key)}") for one in state["containers"]
        )

    def _fillable(self, client: KubeClient, target: Target) -> tuple[Inside, str, _Room]:
        where, pod = inside_of(client, target, self.container)
        path = self._path(where, pod)
        limit = _limit(client, where, pod, self.volume)
        room = _room(client, where, path)
        if room.mounted != path or room.size > limit * OWN_SIZE_MAX:
            raise FaultError(
                f"volume {self.volume} of pod {where.pod} is to have {limit} bytes and lies on a file system of "
                f"{room.size}: filling it would fill the disk of its node",
                "choose a volume with a file system of its own; in the sandbox, a claim with the annotation "
                'sandbox.flametest.dev/own-filesystem: "true"',
            )
        if room.free <= self.leave_bytes:
            raise FaultError(
                f"{room.free} bytes are free on volume {self.volume} of pod {where.pod}, and {self.leave_bytes} are to "
                "be left",
                "make room, or leave less",
            )
        return where, path, room

    def _path(self, where: Inside, pod: Object) -> str:
        mounts = container_spec(pod, where.container).get("volumeMounts") or []
        found = [one for one in mounts if one["name"] == self.volume and not one.get("readOnly")]
        if not found:
            there = ", ".join(sorted({str(one["name"]) for one in mounts})) or "none"
            raise FaultError(f"{where} mounts no volume {self.volume!r} to write to", f"its volumes: {there}")
        return str(found[0]["mountPath"]).rstrip("/")


def _limit(client: KubeClient, where: Inside, pod: Object, name: str) -> int:
    """Return how large a volume may be, in bytes, by its claim or its own limit."""
    from kubernetes.utils.quantity import parse_quantity  # noqa: PLC0415 (takes more than a second)

    volume: Object = next((one for one in pod["spec"].get("volumes") or [] if one["name"] == name), {})
    if "persistentVolumeClaim" in volume:
        claim = find(client.api, CLAIMS, where.namespace, str(volume["persistentVolumeClaim"]["claimName"])) or {}
        return int(parse_quantity(((claim.get("status") or {}).get("capacity") or {}).get("storage") or 0))
    source = volume.get("emptyDir") or {}
    if source.get("medium") == "Memory" and source.get("sizeLimit"):
        size = int(parse_quantity(source["sizeLimit"]))
        limits = (container_spec(pod, where.container).get("resources") or {}).get("limits") or {}
        if "memory" not in limits or int(parse_quantity(limits["memory"])) > size:
            return size
        raise FaultError(
            f"volume {name} lies in memory, and {where} would run out of its own before that is full",
            "use inject_memory_hog for that",
        )
    raise FaultError(
        f"volume {name} of pod {where.pod} has no size of its own: filling it would fill the disk of its node",
        "choose a claim, or an emptyDir of medium Memory with a sizeLimit",
    )


def _room(client: KubeClient, where: Inside, path: str) -> _Room:
    """Return what the file system at a path in a container has, by its own ``df``."""
    lines = lines_of(client, where, _LOOK, path, _NEEDED)
    if missing := [line[1] for line in lines if line[0] == "missing"]:
        raise FaultError(
            f"nothing in {where} can fill a volume, since its image has no {' and no '.join(missing)}",
            "choose a container that has them",
        )
    # Of POSIX: file system, blocks of 1024 bytes, used, available, share, where it is mounted.
    size, _, free, _, mounted = lines[-1][1:6]
    return _Room(int(size) * 1024, int(free) * 1024, mounted)
