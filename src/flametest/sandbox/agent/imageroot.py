"""The root of a container that runs a real image: an overlay over the image's unpacked file system.

Each instance has a layer of its own on the sandbox's disk, which goes with it; the image itself is never written.
The overlays are mounted in the sandbox's own mount namespace, so none outlives it. bubblewrap makes the places that it
mounts to, and follows links out of the root on the way. So these are made here beforehand, with links resolved inside
the root, while nothing runs in it that could change them.
"""

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from flametest.sandbox import idmaps, namespaces
from flametest.sandbox.agent.root import capability_arguments, kernel_arguments, namespace_arguments
from flametest.sandbox.agent.runtime import ContainerOptions, PodSandbox, StartError
from flametest.sandbox.agent.stepdown import PLACE, StepDown
from flametest.sandbox.images import Bind
from flametest.sandbox.images.rootfs import make_place, resolved
from flametest.sandbox.images.userchange import user_change

__all__ = ["ImageRoots"]

# What it takes to become another user with other capabilities; gone when the command runs.
_STEPPING_DOWN = ("setgid", "setpcap", "setuid")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# A layer ends with its container: without this, unmounting it would wait until the whole disk is written. Linux has it
# from 5.10 on.
_VOLATILE = ",volatile"
_FRESH = ("/dev", "/proc")  # made by bubblewrap itself: nothing of the image is in them


class ImageRoots:
    """Makes and removes roots for a runtime, and knows how commands in one start. Lives as long as the runtime."""

    def __init__(self, folder: str, *, one_user: bool) -> None:
        """Take a folder of the runtime's own.

        Args:
            folder: for what all roots share.
            one_user: there is one user id only: another user of a container is that one under another number.

        Raises:
            SandboxError: a program that is needed is not installed.
        """
        # Marks of the overlay itself: an ordinary user may set no others.
        self._overlay_options = _VOLATILE if idmaps.is_initial() else f"{_VOLATILE},userxattr"
        self._step_down = None if one_user else StepDown(Path(folder, "step-down"))
        self._bases: dict[str, str] = {}

    def is_before_command(self, identity: tuple[int, int]) -> bool:
        """Return whether a program, named by device and inode, comes before the container's command."""
        return self._step_down is not None and identity == self._step_down.identity()

    def arguments(self, pod: PodSandbox, container: ContainerOptions, files: Sequence[Bind]) -> list[str]:
        """Make a container's root and return bubblewrap's options for it, all but the descriptors and the command.

        Args:
            pod: the pod.
            container: the instance.
            files: of the pod, to be seen in /etc.

        Raises:
            StartError: the kernel refuses the overlay, or the image has something where a mount has to be.
        """
        base = os.path.join(pod.folder, "roots", container.id)
        self._bases[container.id] = base
        try:
            merged = self._mount(base, container)
            mounts = [*files, *container.mounts]
            if container.read_only_root:
                mounts = [*self._image_volumes(base, merged, container), *mounts]
            binds = list(_placed(merged, sorted(mounts, key=_depth)))
            directory = _place(merged, container.working_directory, binds, folder=True)
            for fresh in (*_FRESH, "/sys"):
                make_place(Path(merged), fresh, folder=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise StartError(f"the root of container {container.name} cannot be made: {error}") from error
        arguments = [*namespace_arguments(pod), *self._users(container), "--bind", merged, "/"]
        arguments += kernel_arguments()
        if self._step_down is not None:
            arguments += ["--ro-bind", str(self._step_down.folder), PLACE]
        if container.read_only_root:
            arguments += ["--remount-ro", "/"]
        for bind in binds:
            arguments += ["--ro-bind" if bind.read_only else "--bind", bind.source, bind.target]
        return [*arguments, "--chdir", directory]

    def differences(self, container: ContainerOptions) -> str:
        """Return what will fail, or be otherwise, for want of user ids; with the remedy. Empty for nothing."""
        found = ""
        if self._step_down is None:
            path = dict(container.environment).get("PATH", _PATH)
            rootfs = Path(container.image.root, "rootfs")
            if container.user == 0 and (change := user_change(rootfs, container.arguments, path)):
                found = f"starts as root and changes users or owners ({change}), which fails with one user id"
        elif self.renumbers(container):
            found = f"runs as user {container.user}:{container.group}, which this sandbox has under another number only"
        elif missing := [one for one in container.groups if not idmaps.are_mapped(groups=(one,))]:
            found = f"does not get the groups {', '.join(map(str, missing))}, which this sandbox does not have"
        return f"container {container.name} {found}. Remedy: {idmaps.remedy()}" if found else ""

    def renumbers(self, container: ContainerOptions) -> bool:
        """Return whether a container's user is the sandbox's only one, or its root, under another number."""
        known = self._step_down is not None
        return not (known and idmaps.are_mapped(users=(container.user,), groups=(container.group,)))

    def command(self, container: ContainerOptions) -> list[str]:
        """Return the command line of a container's process 1."""
        return [*self.within(container), *container.arguments]

    def within(self, container: ContainerOptions) -> list[str]:
        """Return the words before a command in a container's namespaces."""
        if self.renumbers(container):
            return []
        groups = tuple(one for one in container.groups if idmaps.are_mapped(groups=(one,)))
        return StepDown.command(replace(container, groups=groups))

    def unmount(self, container_id: str) -> Path | None:
        """Unmount the root of a container that has ended, if it had one; return the folder that is to be removed."""
        base = self._bases.pop(container_id, None)
        if base is None:
            return None
        with contextlib.suppress(OSError):  # where making it failed, nothing is mounted
            namespaces.unmount(os.path.join(base, "root"))
        return Path(base)

    def _users(self, container: ContainerOptions) -> list[str]:
        if self.renumbers(container) and (container.user or container.group):
            return ["--unshare-user", "--uid", str(container.user), "--gid", str(container.group)]
        return capability_arguments(tuple({*container.capabilities, *_STEPPING_DOWN}))

    def _mount(self, base: str, container: ContainerOptions) -> str:
        lower = os.path.join(container.image.root, "rootfs")
        upper, work, merged = (os.path.join(base, name) for name in ("layer", "work", "root"))
        for folder in (upper, work, merged):
            os.makedirs(folder)
        # The root of the overlay has the attributes of the upper layer's.
        found = os.stat(lower)
        os.chown(upper, found.st_uid, found.st_gid)
        os.chmod(upper, found.st_mode & 0o7777)
        options = f"lowerdir={_escaped(lower)},upperdir={_escaped(upper)},workdir={_escaped(work)}"
        self._mount_overlay(merged, options)
        return merged

    def _mount_overlay(self, target: str, options: str) -> None:
        flags = namespaces.MountFlag.NOSUID | namespaces.MountFlag.NODEV
        try:
            namespaces.mount("overlay", target, "overlay", flags, options + self._overlay_options)
        except OSError as error:
            if error.errno != errno.EINVAL or _VOLATILE not in self._overlay_options:
                raise
            without = self._overlay_options.replace(_VOLATILE, "")
            namespaces.mount("overlay", target, "overlay", flags, options + without)
            self._overlay_options = without

    @staticmethod
    def _image_volumes(base: str, merged: str, container: ContainerOptions) -> Iterator[Bind]:
        """Yield the image's volumes, which can be written on a read-only root too, with what the image has there.

        As in containerd, a mount of the pod at the same path takes the place of such a volume.
        """
        mounted = {os.path.normpath(mount.target) for mount in container.mounts}
        for number, path in enumerate(container.image.volumes):
            if os.path.normpath(path) in mounted:
                continue
            target = make_place(Path(merged), path, folder=True)
            source = os.path.join(base, "volumes", str(number))
            os.makedirs(os.path.dirname(source), exist_ok=True)
            _copy_folder(merged + target, source)
            yield Bind(source, target, read_only=False)


def _placed(merged: str, mounts: Sequence[Bind]) -> Iterator[Bind]:
    """Yield mounts with their targets free of links, outer ones first, and a place for each."""
    done: list[Bind] = []
    for mount in mounts:
        target = _place(merged, mount.target, done, folder=os.path.isdir(mount.source))
        done.append(Bind(mount.source, target, mount.read_only))
        yield done[-1]


def _place(merged: str, path: str, mounts: Sequence[Bind], *, folder: bool) -> str:
    """Make a place in the root, or in what is mounted there already, and return its path in the container."""
    target = resolved(Path(merged), path)
    if any(target == fresh or target.startswith(fresh + "/") for fresh in _FRESH):
        return target
    covers = [mount for mount in mounts if target == mount.target or target.startswith(mount.target + "/")]
    if not covers:
        return make_place(Path(merged), target, folder=folder)
    cover = max(covers, key=lambda mount: len(mount.target))
    below = target[len(cover.target) :]
    if not below:
        return target
    inside = (
        resolved(Path(cover.source), below) if cover.read_only else make_place(Path(cover.source), below, folder=folder)
    )
    return cover.target + inside


def _copy_folder(source: str, target: str) -> None:
    """Copy a folder with its owners and modes; an empty one, as most are, without another process."""
    if os.listdir(source):
        subprocess.run(["cp", "-a", "--", source, target], check=True, capture_output=True)
        return
    os.mkdir(target)
    found = os.stat(source)
    os.chown(target, found.st_uid, found.st_gid)
    shutil.copystat(source, target)


def _depth(mount: Bind) -> int:
    return os.path.normpath(mount.target).count("/")


def _escaped(path: str) -> str:
    """Return a path as an option of an overlay, in which commas and colons have a meaning."""
    return "".join(f"\\{letter}" if letter in "\\,:" else letter for letter in path)
