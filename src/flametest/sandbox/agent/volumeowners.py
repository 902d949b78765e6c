"""Whose the files of volumes are, seen by a container of a stand-in that runs as another user than root.

Such a container has a user namespace with one user, which is this process' own by another number. To that user belongs
what other containers of this kind have written. What a root container has given to the same number, as init containers
do (``chown -R 999:999 /data``), would be nobody's in there: it becomes the user's before the container starts.
"""

import os

from flametest.sandbox.agent.runtime import ContainerOptions

__all__ = ["take_over_volumes"]


def take_over_volumes(container: ContainerOptions) -> None:
    """Have the container's user own the files in its volumes that are its by number, or all if it is to have these."""
    if container.image.root or not (container.user or container.group):
        return
    for mount in container.mounts:
        if not mount.read_only:
            _take_over(mount.source, container)


def _take_over(path: str, container: ContainerOptions) -> None:
    """Walk a tree without following links; what goes meanwhile is let go."""
    own_user, own_group = os.geteuid(), os.getegid()
    folders = [path] if os.path.isdir(path) else []
    _take_over_one(path, container, own_user, own_group)
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    _take_over_one(entry.path, container, own_user, own_group)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except (FileNotFoundError, NotADirectoryError):
            continue


def _take_over_one(path: str, container: ContainerOptions, own_user: int, own_group: int) -> None:
    try:
        found = os.lstat(path)
        user = found.st_uid != own_user and (container.owns_volumes or found.st_uid == container.user)
        group = found.st_gid != own_group and (container.owns_volumes or found.st_gid == container.group)
        if user or group:
            os.chown(path, own_user if user else -1, own_group if group else -1, follow_symlinks=False)
    except (FileNotFoundError, PermissionError):  # it has gone, or this process may not: then it stays as it is
        return
