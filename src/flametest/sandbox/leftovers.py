"""Removes what a sandbox has left that was killed, unless another one lives in its folder by now.

Run as ``python -P -m flametest.sandbox.leftovers STATE_FOLDER`` by what `clearup` has left waiting.
"""

import sys
from pathlib import Path

from flametest.sandbox import statefolder
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.launch import SandboxOptions, find

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Clear the folder of a sandbox that has ended; returns the exit code."""
    folder = Path(arguments[0])
    try:
        # While one is being started there, this waits; then there is nothing to do.
        with statefolder.locked(folder, folder.name):
            if find(SandboxOptions(name=folder.name, home=folder.parents[1])) is None:
                statefolder.clear(folder, keep_log=True)
    except (SandboxError, OSError) as error:
        print(f"leftovers: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
