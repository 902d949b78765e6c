"""What an image is to the sandbox: its configuration, and a root, whether unpacked or made of parts of the machine.

The catalogue makes images out of Dockerfiles and built-in entries, `stored` those of the store; a pod runtime reads
them. An image is immutable and may be shared by any number of containers; it lives as long as its catalogue.
"""

import signal
from dataclasses import dataclass, field

__all__ = ["Bind", "Folder", "Image", "Link", "Packages", "TextFile"]


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder of the machine that a container sees at ``target``.

    Attributes:
        source: where it is on the machine.
        target: where the container sees it.
        read_only: whether it may not be written to.
        stays: whether it is seen also below a volume: the interpreter, which is where it is on the machine, such as
            below /tmp, and not where an image would have it.
    """

    source: str
    target: str
    read_only: bool = True
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link at ``path`` that points to ``target``."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class TextFile:
    """A small file that the image itself brings."""

    path: str
    text: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Folder:
    """An empty folder, gone when the container ends; a volatile one (VOLUME) is writable on a read-only root too."""

    path: str
    mode: int = 0o755
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class Packages:
    """Python packages that an image wants: in an environment of its own where the sandbox's does not satisfy it.

    Attributes:
        wanted: requirements in the form of PEP 508, all of the image's.
        constraints: in the same form; what they name is not wanted for itself.
        missing: those of ``wanted`` that the sandbox's environment does not satisfy.
        instruction: the Dockerfile and the instruction that asks for the first that is missing.
        extras_only: whether only extras of what is there are missing.
    """

    wanted: tuple[str, ...]
    constraints: tuple[str, ...]
    missing: tuple[str, ...]
    instruction: str
    extras_only: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """An image, ready to run.

    Attributes:
        reference: the name by which pods ask for it.
        environment: variables, in order.
        entrypoint: what ``command`` of a container replaces.
        command: what ``args`` of a container replaces.
        working_directory: absolute; made when it does not exist.
        user: numeric user id; 0 is root.
        group: numeric group id.
        user_name: the name of ``user`` in the container's passwd file; empty for none.
        home: the home folder of that user.
        stop_signal: what asks process 1 to end.
        binds: parts of the machine that the container sees.
        links: symbolic links.
        files: files that the image brings.
        folders: writable folders.
        notice: how the image differs from the one that its name promises; empty for not at all.
        groups: further groups of ``user``.
        volumes: folders of a real image that can be written on a read-only root too.
        digest: of a real image's manifest; empty for one that has none.
        root: the folder in which ``rootfs`` is a real image's unpacked file system; empty for one that is made of
            parts of the machine.
        is_stand_in: whether it stands for a well-known image of its name.
        packages: what its Dockerfile installs; None for nothing, or where it has been installed.
    """

    reference: str
    environment: tuple[tuple[str, str], ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    working_directory: str = "/"
    user: int = 0
    group: int = 0
    user_name: str = ""
    home: str = "/root"
    stop_signal: int = field(default=int(signal.SIGTERM))
    binds: tuple[Bind, ...] = ()
    links: tuple[Link, ...] = ()
    files: tuple[TextFile, ...] = ()
    folders: tuple[Folder, ...] = ()
    notice: str = ""
    groups: tuple[int, ...] = ()
    volumes: tuple[str, ...] = ()
    digest: str = ""
    root: str = ""
    is_stand_in: bool = False
    packages: Packages | None = None
