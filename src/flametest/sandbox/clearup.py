"""What waits for the end of a sandbox that may be killed, and then removes what the kernel does not: files and groups.

A shell, since it waits for as long as the sandbox lives, and takes little. It removes control groups itself; should the
sandbox's folder not be cleared a moment later, as whoever stops a sandbox does, it becomes `leftovers`, which does so.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["clear_up_after_this_process"]

# Standard input ends with the supervisor, and its processes a moment later.
_SCRIPT = """
read -r nothing
python=$1 state=$2
shift 2
for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    left=
    for folder in "$@"; do
        rmdir "$folder"/*/ "$folder" 2>/dev/null
        [ -d "$folder" ] && left=1
    done
    [ -z "$left" ] && [ ! -e "$state/settings.json" ] && exit
    sleep 0.1
done
exec "$python" -P -m flametest.sandbox.leftovers "$state"
"""


def clear_up_after_this_process(state_folder: Path, groups: Sequence[Path]) -> None:
    """Have a sandbox's folder and its control groups removed, however this process ends.

    Args:
        state_folder: of the sandbox.
        groups: the folders of its control groups; empty for none.
    """
    waiting_end, own_end = os.pipe()  # the latter is closed by nobody but the kernel
    command = ["/bin/sh", "-c", _SCRIPT, "sh", sys.executable, str(state_folder), *map(str, groups)]
    actions = [(os.POSIX_SPAWN_DUP2, waiting_end, 0), (os.POSIX_SPAWN_CLOSE, own_end)]
    os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)
    os.close(waiting_end)
