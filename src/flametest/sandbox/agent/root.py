"""What a container sees of the machine, as arguments of bubblewrap. Reads folders' listings; starts nothing.

A container gets a root of its own: the machine's programs and libraries read-only, a generated /etc, fresh /proc,
/dev, /tmp and /run, and what its image and volumes bring. Home folders, the sandbox's state, /usr/local and the rest
of /etc and /var are not there. Called by the process runtime for each container that starts.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from flametest.sandbox.agent.runtime import ContainerOptions, PodSandbox
from flametest.sandbox.images.image import Bind, Image

__all__ = [
    "RootFiles",
    "capability_arguments",
    "group_text",
    "kernel_arguments",
    "namespace_arguments",
    "passwd_text",
    "root_arguments",
]


# What every image has that is made from a distribution.
_PASSWD = (
    "root:x:0:0:root:/root:/bin/sh",
    "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin",
    "www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin",
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
)
_GROUP = ("root:x:0:", "daemon:x:1:", "tty:x:5:", "www-data:x:33:", "users:x:100:", "nogroup:x:65534:")
_SYSTEM_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_USR_FOLDERS = (*_SYSTEM_FOLDERS, "libexec", "share")
_READ_ONLY = ("/proc/sys", "/proc/fs")  # bubblewrap itself sees to /proc/bus, /proc/irq and /proc/sysrq-trigger
_HIDDEN_FILES = tuple(f"/proc/{name}" for name in ("kcore", "keys", "latency_stats", "sched_debug", "timer_list"))
# Without the machine's time zone: images are in UTC.
_ETC_ENTRIES = (
    "alternatives",
    "ca-certificates",
    "debian_version",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "os-release",
    "pki",
    "protocols",
    "services",
    "ssl",
)


@dataclass(frozen=True, slots=True)
class RootFiles:
    """Files on the machine that the runtime has written for a container: target in the container to source."""

    sources: tuple[tuple[str, str], ...]


def passwd_text(image: Image, user: int, group: int, *, has_other_users: bool) -> str:
    """Return /etc/passwd for a container that runs as ``user``.

    The image's own user is there also for a container that runs as root, since servers start as root and step down.
    Where the machine has no users to step down to (``has_other_users`` False), that one is root by another name.
    """
    lines = list(_PASSWD)
    known = {int(line.split(":")[2]) for line in lines}
    if image.user_name:
        ids = f"{image.user}:{image.group}" if has_other_users or user == image.user else "0:0"
        lines.append(f"{image.user_name}:x:{ids}::{image.home}:/bin/sh")
        known.add(image.user)
    if user not in known:
        lines.append(f"user{user}:x:{user}:{group}::/:/bin/sh")
    return "\n".join(lines) + "\n"


def group_text(image: Image, group: int, *, has_other_users: bool) -> str:
    """Return /etc/group for a container that runs as ``group``; see `passwd_text`."""
    lines = list(_GROUP)
    known = {int(line.split(":")[2]) for line in lines}
    if image.user_name:
        number = image.group if has_other_users or group == image.group else 0
        lines.append(f"{image.user_name}:x:{number}:")
        known.add(image.group)
    if group not in known:
        lines.append(f"group{group}:x:{group}:")
    return "\n".join(lines) + "\n"


def root_arguments(pod: PodSandbox, container: ContainerOptions, files: RootFiles) -> list[str]:
    """Return bubblewrap's options for a container, all but the descriptors and the command."""
    container, files = _without_hidden(container, files)
    targets = _targets(container, files)
    arguments = namespace_arguments(pod)
    if container.user or container.group:
        arguments += ["--unshare-user", "--uid", str(container.user), "--gid", str(container.group)]
    else:
        arguments += capability_arguments(container.capabilities)
    arguments += _system(targets)
    arguments += kernel_arguments()
    for folder in ("/run", "/var", "/var/log", "/var/lib", "/var/cache", "/sys", "/root"):
        arguments += ["--dir", folder]
    arguments += ["--symlink", "../run", "/var/run"]
    for folder in ("/tmp", "/var/tmp"):  # noqa: S108 - inside the container
        arguments += ["--perms", "1777", "--dir", folder]
    arguments += _contents(container, files, targets)
    if container.read_only_root:
        arguments += ["--remount-ro", "/"]
    return [*arguments, "--chdir", container.working_directory]


def namespace_arguments(pod: PodSandbox) -> list[str]:
    """Return bubblewrap's options for the namespaces that each container has of its own."""
    return [
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--as-pid-1"),
        *("--hostname", pod.hostname),
    ]


def kernel_arguments() -> list[str]:
    """Return bubblewrap's options for /proc and /dev.

    What tells of the machine or changes it is hidden or read-only, as in the defaults of container runtimes: bubblewrap
    leaves /proc/sys to the machine's root. https://github.com/containerd/containerd/blob/main/pkg/oci/spec.go
    """
    arguments = ["--proc", "/proc", "--dev", "/dev"]
    for path in filter(os.path.exists, _READ_ONLY):
        arguments += ["--ro-bind", path, path]
    for path in filter(os.path.exists, _HIDDEN_FILES):
        arguments += ["--ro-bind", "/dev/null", path]
    return arguments


def capability_arguments(capabilities: tuple[str, ...]) -> list[str]:
    """Return bubblewrap's options that leave root these capabilities and no others."""
    added = (("--cap-add", f"CAP_{capability.upper()}") for capability in capabilities)
    return ["--cap-drop", "ALL", *(word for pair in added for word in pair)]


def _without_hidden(container: ContainerOptions, files: RootFiles) -> tuple[ContainerOptions, RootFiles]:
    """Return both without what a volume covers: it shows its own contents, and beside them only what has to stay."""
    covers = [mount.target for mount in container.mounts]

    def seen(path: str) -> bool:
        return not any(path == cover or path.startswith(cover + "/") for cover in covers)

    image = container.image
    shown = replace(
        image,
        binds=tuple(bind for bind in image.binds if bind.stays or seen(bind.target)),
        links=tuple(link for link in image.links if seen(link.path)),
        folders=tuple(folder for folder in image.folders if seen(folder.path)),
    )
    sources = tuple((target, source) for target, source in files.sources if seen(target))
    return replace(container, image=shown), RootFiles(sources)


def _targets(container: ContainerOptions, files: RootFiles) -> tuple[str, ...]:
    """Return every path that has to exist in the container beside what the machine has."""
    image = container.image
    return (
        container.working_directory,
        *(target for target, _ in files.sources),
        *(bind.target for bind in (*image.binds, *container.mounts)),
        *(link.path for link in image.links),
        *(folder.path for folder in image.folders),
    )


def _system(targets: tuple[str, ...]) -> Iterator[str]:
    yield from ("--dir", "/usr", "--dir", "/usr/local")
    for name in _USR_FOLDERS:
        yield from _entry(f"/usr/{name}", f"/usr/{name}", targets)
    for name in _SYSTEM_FOLDERS:
        yield from _entry(f"/{name}", f"/{name}", targets)
    yield from ("--dir", "/etc")
    for name in _ETC_ENTRIES:
        yield from _entry(f"/etc/{name}", f"/etc/{name}", targets)


def _entry(source: str, target: str, targets: Iterable[str]) -> Iterator[str]:
    """Yield what shows ``source`` read-only at ``target``.

    A place for something below it that the machine does not have cannot be made in a read-only folder, so such a
    folder is created again and its entries are shown one by one.
    """
    if os.path.islink(source):
        yield from ("--symlink", os.readlink(source), target)
        return
    if not os.path.exists(source):
        return
    inner = [path for path in targets if path.startswith(target + "/")]
    if not any(not os.path.lexists(source + path[len(target) :]) for path in inner):
        yield from ("--ro-bind", source, target)
        return
    yield from ("--dir", target)
    with os.scandir(source) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            yield from _entry(entry.path, f"{target}/{entry.name}", inner)


def _contents(container: ContainerOptions, files: RootFiles, targets: tuple[str, ...]) -> Iterator[str]:
    """Yield what image and volumes bring, outer paths before inner ones."""
    parts: list[tuple[str, list[str]]] = []
    image = container.image
    for bind in image.binds:
        others = [path for path in targets if path != bind.target]
        parts.append((bind.target, list(_bind(bind, others))))
    for folder in image.folders:
        kind = "--tmpfs" if folder.volatile else "--dir"
        parts.append((folder.path, ["--perms", f"{folder.mode:04o}", kind, folder.path]))
    for link in image.links:
        parts.append((link.path, ["--symlink", link.target, link.path]))
    for target, source in files.sources:
        parts.append((target, ["--ro-bind", source, target]))
    for mount in container.mounts:
        parts.append((mount.target, ["--ro-bind" if mount.read_only else "--bind", mount.source, mount.target]))
    parts.append((container.working_directory, ["--dir", container.working_directory]))
    # Made first and by name: the folders that bubblewrap makes on the way to a bind are closed to others.
    above = {parent for path, _ in parts for parent in _parents(path)}
    parts[:0] = [(parent, ["--dir", parent]) for parent in above]
    # The sort keeps the order of equal paths, so that a volume lies over what the image has at the same place.
    for _, arguments in sorted(parts, key=lambda part: part[0].rstrip("/").split("/")):
        yield from arguments


def _parents(path: str) -> Iterator[str]:
    while (path := os.path.dirname(path)) not in ("/", ""):
        yield path


def _bind(bind: Bind, targets: list[str]) -> Iterator[str]:
    if not bind.read_only:
        yield from ("--bind", bind.source, bind.target)
    elif os.path.islink(bind.source):
        yield from ("--ro-bind", os.path.realpath(bind.source), bind.target)
    else:
        yield from _entry(bind.source, bind.target, targets)
