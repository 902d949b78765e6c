"""Fetches one image into the store: the program that a sandbox's supervisor starts, in the host's network.

Run as ``python -P -m flametest.sandbox.images.fetch STORE_FOLDER``. It reads ``{"reference": ..., "credentials": ...}``
from standard input, so that no password is on a command line, or ``{"wanted": ..., "constraints": ...}`` for an
environment of Python packages. It writes ``{}`` or ``{"error": ...}`` to standard output, and ends with the supervisor,
whatever ends that.
"""

import json
import os
import sys
from pathlib import Path

from flametest.sandbox.errors import SandboxError
from flametest.sandbox.images.copying import pull, tie_to_parent
from flametest.sandbox.images.environments import make_environment
from flametest.sandbox.images.errors import PullError
from flametest.sandbox.images.reference import parse_reference
from flametest.sandbox.images.store import ImageStore

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Fetch what standard input names; returns the exit code."""
    parent = os.getppid()
    tie_to_parent()
    if os.getppid() != parent:
        return 1
    asked = json.load(sys.stdin)
    try:
        if "wanted" in asked:
            make_environment(Path(arguments[0]), asked["wanted"], asked["constraints"])
        else:
            pull(ImageStore(Path(arguments[0])), parse_reference(asked["reference"]), asked["credentials"])
    except (PullError, SandboxError) as error:
        remedy = f"; {error.remedy}" if isinstance(error, SandboxError) and error.remedy else ""
        json.dump({"error": f"{error}{remedy}"}, sys.stdout)
    else:
        json.dump({}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
