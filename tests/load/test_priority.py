"""The prober runs before whatever else the machine is busy with, where it may."""

import os
import subprocess
import sys

import pytest

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
