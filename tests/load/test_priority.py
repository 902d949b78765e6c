"""The prober runs before whatever else the machine is busy with, where it may; what is being started runs after it."""

import os
import subprocess
import sys

import pytest

from flametest.load.priority import let_go, stay_behind

SHOW = "import os; from flametest.load.priority import go_first; print(go_first(), os.sched_getscheduler(0))"


def test_with_the_right_to_it_a_process_goes_first_and_its_children_do_not() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs the right to schedule in real time")
    child = "import os, subprocess, sys; from flametest.load.priority import go_first; go_first(); subprocess.run("
    child += "[sys.executable, '-c', 'import os; print(os.sched_getscheduler(0))'])"

    shown = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True).stdout
    inherited = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True).stdout

    assert shown.startswith("real time")
    assert int(inherited) == os.SCHED_OTHER


def test_without_the_right_it_stays_ordinary_and_goes_on() -> None:
    drop = SHOW.replace("print", "os.setuid(65534) if os.geteuid() == 0 else None; print")

    shown = subprocess.run([sys.executable, "-c", drop], capture_output=True, text=True, check=True).stdout

    assert shown.split()[0] in {"ordinary", "niceness"}


BEHIND = """
import os, subprocess
from flametest.load.priority import let_go, stay_behind

if os.geteuid() == 0 and {ordinary}:
    os.setuid(65534)
with subprocess.Popen(["/bin/sh", "-c", "read _"], stdin=subprocess.PIPE, start_new_session=True) as child:
    def told():
        group = f"/proc/{{child.pid}}/autogroup"
        niceness = open(group).read().split()[-1] if os.path.exists(group) else "none"
        return os.getpriority(os.PRIO_PROCESS, child.pid) - os.getpriority(os.PRIO_PROCESS, 0), niceness
    stay_behind(child.pid)
    behind = told()
    let_go(child.pid)
    print(*behind, *told())
    child.stdin.close()
"""


@pytest.mark.parametrize("ordinary", [False, True])
def test_what_stays_behind_has_the_priority_of_others_again_once_it_is_let_go(ordinary: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEHIND.format(ordinary=ordinary)], capture_output=True, text=True, check=True
    )
    niceness, group, niceness_after, group_after = done.stdout.split()
    assert niceness_after == "0"
    assert group_after in ("0", "none")
    assert group in ("19", "0", "none")  # a user's group is set once in a tenth of a second, whoever's it is
    if os.geteuid() == 0 and not ordinary:
        assert group in ("19", "none")
        assert niceness == str(19 - os.getpriority(os.PRIO_PROCESS, 0))


def test_a_process_that_is_gone_is_let_go_without_an_error() -> None:
    with subprocess.Popen(["true"], start_new_session=True) as gone:
        gone.wait()
    stay_behind(gone.pid)
    let_go(gone.pid)
