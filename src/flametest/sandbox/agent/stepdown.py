"""How a process in the root of a real image becomes the user that it is to run as.

An image need not have any program but its own, so the machine's ``setpriv`` is brought along: copied once with the
libraries that it needs, shown read-only at `PLACE`, and started by its own loader. It is the last program before the
container's command, and the one before each command that is executed inside.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from flametest.sandbox.agent.runtime import ContainerOptions
from flametest.sandbox.errors import SandboxError

__all__ = ["PLACE", "StepDown"]

PLACE = "/dev/.flametest"
_LOADER = "loader"
_PROGRAM = "setpriv"
_LIBRARY = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)


class StepDown:
    """The copy of setpriv and the command lines that start it; made once for a runtime."""

    def __init__(self, folder: Path) -> None:
        """Copy setpriv and its libraries to ``folder``.

        Raises:
            SandboxError: setpriv is not installed, or its libraries cannot be found.
        """
        self.folder = folder
        program = shutil.which(_PROGRAM)
        if program is None:
            raise SandboxError("the program setpriv is not installed", "install the package util-linux")
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
        libraries = [Path(place) for place in _LIBRARY.findall(listed.stdout)]
        loaders = [place for place in libraries if place.name.startswith("ld-")]
        if not loaders:
            raise SandboxError(f"the libraries of {program} cannot be found: {listed.stderr.strip() or listed.stdout}")
        folder.mkdir(exist_ok=True)
        shutil.copy(program, folder / _PROGRAM)
        shutil.copy(loaders[0], folder / _LOADER)
        for library in libraries:
            shutil.copy(library, folder / library.name)

    def identity(self) -> tuple[int, int]:
        """Return device and inode of the loader, which a container's process runs until its command runs."""
        found = os.stat(self.folder / _LOADER)
        return found.st_dev, found.st_ino

    @staticmethod
    def command(container: ContainerOptions) -> list[str]:
        """Return the words before a command that is to run as a container's user, with its capabilities at most."""
        more = ["--groups", ",".join(map(str, container.groups))] if container.groups else ["--clear-groups"]
        bounding = ",".join(["-all", *(f"+{name}" for name in container.capabilities)])
        words = [f"{PLACE}/{_LOADER}", "--library-path", PLACE, f"{PLACE}/{_PROGRAM}"]
        words += ["--reuid", str(container.user), "--regid", str(container.group), *more, "--no-new-privs"]
        # Set again, since the kernel forgets it with a change of user: the command ends with the agent.
        words += ["--bounding-set", bounding, "--inh-caps", "-all", "--pdeathsig", "KILL"]
        return [*words, "--"]
