"""Limits in the sandbox of an ordinary user to whom root has given control groups of his own."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flametest.sandbox import controlgroups
from flametest.sandbox.cgroupfs import remove_folder
from flametest.sandbox.launch import SandboxOptions, find
from tests.addresses import own_address
from tests.patience import PATIENCE_SECONDS
from tests.sandbox.conftest import Api
from tests.sandbox.image_pods import PODS, pod, state_of
from tests.sandbox.ordinary_user import OrdinaryUser

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(os.getuid() != 0, reason="only root can give control groups to somebody else"),
]

GREEDY = "text=$(head -c 200000000 /dev/zero | tr '\\0' x)"
START = """
import sys
from pathlib import Path
from flametest.sandbox.launch import SandboxOptions, start
for place in sys.argv[3:]:
    Path(place, "cgroup.procs").write_text("0")
start(SandboxOptions(home=Path(sys.argv[1]), node_port_address=sys.argv[2]))
"""


@contextlib.contextmanager
def given_to(user: OrdinaryUser) -> Iterator[list[str]]:
    """Make control groups of version 1 that belong to a user, and remove them."""
    places = controlgroups.places()
    if not {"memory", "cpu"} <= places.keys():
        pytest.skip("this machine has no control groups of version 1")
    folders = [places[name] / f"given-{os.urandom(4).hex()}" for name in ("memory", "cpu")]
    try:
        for folder in folders:
            folder.mkdir()
            for path in (folder, *folder.iterdir()):
                os.chown(path, user.number, user.number)
        yield list(map(str, folders))
    finally:
        # What removes the rest of a sandbox ends a moment after it.
        deadline = time.monotonic() + PATIENCE_SECONDS
        while left := [folder for folder in folders if not remove_folder(folder)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.02)


def test_limits_hold_in_groups_that_were_given_to_the_user_and_nothing_of_them_stays() -> None:
    with OrdinaryUser.existing() as user, given_to(user) as places:
        options = SandboxOptions(home=user.home / "home", node_port_address=own_address("given groups"))
        user.run(START, str(options.home), options.node_port_address, *places, seconds_max=120)
        sandbox = find(options)
        assert sandbox is not None
        try:
            assert sandbox.enforces_limits
            limits = {"resources": {"limits": {"memory": "32Mi", "cpu": "500m"}}}
            api = Api(sandbox)
            greedy = pod("greedy", "busybox:1.36", "sh", "-c", GREEDY, container=limits)
            assert api.warnings(f"{PODS}?dryRun=All", greedy) == []
            api(PODS, greedy)
            ended = state_of(api, "greedy", lambda state: "terminated" in state)["state"]["terminated"]
            assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
        finally:
            sandbox.stop()
        assert not [path for place in places for path in Path(place).iterdir() if path.is_dir()]
