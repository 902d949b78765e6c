"""What the embedded sandbox needs of the machine, in one place: system packages, kernel features, Python packages.

`flametest doctor` shows it, the noxfile installs what is missing, `flametest.sandbox.launch` refuses to start without
it. It imports the standard library alone and nothing of Flametest, because the noxfile loads this file by its path
before anything is installed.
"""

import ctypes
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path

__all__ = [
    "OPTIONAL",
    "REQUIREMENTS",
    "Kind",
    "Requirement",
    "Status",
    "check",
    "debian_packages",
    "install_command",
    "remedy",
]

_CAP_NET_ADMIN = 12
_CAP_SYS_ADMIN = 21
_TRY_SECONDS_MAX = 10


class Kind(Enum):
    """How a requirement is found."""

    PROGRAM = "program on PATH"
    LIBRARY = "shared library"
    KERNEL = "kernel feature"
    PYTHON = "Python package"


@dataclass(frozen=True)
class Requirement:
    """One thing that the sandbox needs.

    Attributes:
        name: the program, shared library, kernel feature or Python distribution.
        kind: how it is found.
        purpose: what the sandbox does with it.
        prevents: what is impossible without it.
        debian_package: the package of Debian and Ubuntu that has it; empty when none does.
    """

    name: str
    kind: Kind
    purpose: str
    prevents: str
    debian_package: str = ""


@dataclass(frozen=True)
class Status:
    """Whether a requirement is met; ``detail`` says where it was found, or what is missing."""

    requirement: Requirement
    met: bool
    detail: str


_NO_SANDBOX = "the embedded sandbox does not start"

NAMESPACES = Requirement(
    name="namespaces",
    kind=Kind.KERNEL,
    purpose="gives the cluster processes, network and mounts of its own, which vanish with it",
    prevents=_NO_SANDBOX,
)

REQUIREMENTS: tuple[Requirement, ...] = (
    Requirement(
        name="bwrap",
        kind=Kind.PROGRAM,
        purpose="runs each container in mount and process namespaces of its own",
        prevents="no pod starts in the embedded sandbox",
        debian_package="bubblewrap",
    ),
    Requirement(
        name="nsenter",
        kind=Kind.PROGRAM,
        purpose="runs probes and `kubectl exec` inside a container",
        prevents="no pod starts in the embedded sandbox",
        debian_package="util-linux",
    ),
    Requirement(
        name="libnftables.so.1",
        kind=Kind.LIBRARY,
        purpose="sets the rules behind Service addresses and NodePorts",
        prevents=_NO_SANDBOX,
        debian_package="libnftables1",
    ),
    NAMESPACES,
    *(
        Requirement(name=name, kind=Kind.PYTHON, purpose=purpose, prevents=_NO_SANDBOX)
        for name, purpose in (
            ("aiohttp", "serves the API"),
            ("cryptography", "makes the API's certificate"),
            ("dnslib", "reads and writes DNS messages"),
            ("dockerfile-parse", "reads the Dockerfiles of images"),
            ("jsonpatch", "applies JSON patches"),
            ("orjson", "reads and writes JSON"),
            ("uvloop", "runs the event loop"),
        )
    ),
)


OPTIONAL: tuple[Requirement, ...] = (
    Requirement(
        name="skopeo",
        kind=Kind.PROGRAM,
        purpose="copies real images from registries and archives",
        prevents="images are those of the project and stand-ins for well-known ones",
        debian_package="skopeo",
    ),
    Requirement(
        name="umoci",
        kind=Kind.PROGRAM,
        purpose="unpacks real images",
        prevents="images are those of the project and stand-ins for well-known ones",
        debian_package="umoci",
    ),
    Requirement(
        name="buildah",
        kind=Kind.PROGRAM,
        purpose="builds the project's images from their Dockerfiles",
        prevents="Dockerfiles are read and not built, unless a Docker daemon builds them",
        debian_package="buildah",
    ),
    Requirement(
        name="setpriv",
        kind=Kind.PROGRAM,
        purpose="lets a container of a real image run as its user",
        prevents="no real image runs",
        debian_package="util-linux",
    ),
    *(
        Requirement(
            name=name,
            kind=Kind.PROGRAM,
            purpose=f"gives an ordinary user's sandbox {whose} of its own",
            prevents="real images that change their user run as root only",
            debian_package="uidmap",
        )
        for name, whose in (("newuidmap", "users"), ("newgidmap", "groups"))
    ),
)
"""What the sandbox does without, unless real images are to run in it."""


def check(requirements: Iterable[Requirement] = REQUIREMENTS) -> list[Status]:
    """Look for each requirement on this machine and return what was found, in the same order."""
    return [_check_one(requirement) for requirement in requirements]


def debian_packages(statuses: Iterable[Status]) -> list[str]:
    """Return the Debian packages that would meet what is not met, sorted, each once."""
    return sorted({status.requirement.debian_package for status in statuses if not status.met} - {""})


def install_command(packages: Iterable[str]) -> list[str]:
    """Return the command that installs Debian packages without questions and without more than they need."""
    return ["apt-get", "install", "--yes", "--no-install-recommends", *packages]


def remedy(statuses: Iterable[Status]) -> str:
    """Return, as one line, what to do about all that is not met; empty when everything is met."""
    missing = [status for status in statuses if not status.met]
    steps: list[str] = []
    if packages := debian_packages(missing):
        steps.append(f"install the system packages: {' '.join(install_command(packages))}")
    if any(status.requirement.kind is Kind.PYTHON for status in missing):
        steps.append(f"install the Python packages: {sys.executable} -m pip install 'flametest[sandbox]'")
    if any(status.requirement is NAMESPACES for status in missing):
        steps.append(
            "run as root, or let ordinary users make user namespaces: sysctl -w user.max_user_namespaces=10000 "
            "kernel.apparmor_restrict_unprivileged_userns=0 (in a container: start it with --privileged)"
        )
    return "; ".join(steps)


def _check_one(requirement: Requirement) -> Status:
    finders = {
        Kind.PROGRAM: _find_program,
        Kind.LIBRARY: _find_library,
        Kind.KERNEL: _find_namespaces,
        Kind.PYTHON: _find_python_package,
    }
    met, detail = finders[requirement.kind](requirement.name)
    return Status(requirement, met, detail)


def _find_program(name: str) -> tuple[bool, str]:
    # Ordinary users of Debian have no /usr/sbin in their PATH.
    path = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
    return (True, path) if path else (False, "not on PATH")


def _find_library(name: str) -> tuple[bool, str]:
    try:
        ctypes.CDLL(name)
    except OSError as error:
        return False, f"cannot be loaded: {error}"
    return True, "loaded"


def _find_python_package(name: str) -> tuple[bool, str]:
    try:
        return True, metadata.version(name)
    except metadata.PackageNotFoundError:
        return False, f"not installed for {sys.executable}"


def _find_namespaces(_: str) -> tuple[bool, str]:
    if platform.system() != "Linux":
        return False, f"needs Linux, found {platform.system()}"
    if _has_capabilities(_CAP_SYS_ADMIN, _CAP_NET_ADMIN):
        return True, "made with this process's own capabilities"
    return _try_user_namespace()


def _has_capabilities(*wanted: int) -> bool:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return found is not None and all(int(found[1], 16) >> capability & 1 for capability in wanted)


def _try_user_namespace() -> tuple[bool, str]:
    """Make one for a moment: the settings that can forbid it are too many, and differ between distributions."""
    command = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc", "true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TRY_SECONDS_MAX, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return False, f"a user namespace could not be tried: {error}"
    if done.returncode == 0:
        return True, "made inside a user namespace"
    return False, f"this user may not make user namespaces ({done.stderr.strip() or 'no reason given'})"
