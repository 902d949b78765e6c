"""However a sandbox ends, nothing of it is left: no process, network namespace, interface, mount or file."""

import os
import signal

import pytest

from flametest.sandbox.launch import SandboxOptions, find, start
from tests.sandbox.remains import nothing_is_left_of

pytestmark = pytest.mark.sandbox

SUPERVISOR, CLUSTER = "flametest.sandbox.supervisor", "flametest.sandbox.cluster"
FORWARDER = "flametest.sandbox.network.forwarder"


@pytest.mark.parametrize("program", [SUPERVISOR, CLUSTER, FORWARDER])
def test_nothing_is_left_when_one_process_is_killed(options: SandboxOptions, program: str) -> None:
    with nothing_is_left_of(options) as family:
        family.kill(program)


def test_nothing_is_left_when_init_is_killed(options: SandboxOptions) -> None:
    with nothing_is_left_of(options):
        sandbox = find(options)
        assert sandbox is not None
        os.kill(sandbox.init_pid, signal.SIGKILL)


def test_nothing_is_left_after_a_stop(options: SandboxOptions) -> None:
    with nothing_is_left_of(options):
        sandbox = find(options)
        assert sandbox is not None
        sandbox.stop()


def test_a_sandbox_starts_again_where_one_was_killed(options: SandboxOptions) -> None:
    with nothing_is_left_of(options) as family:
        family.kill(SUPERVISOR)
    again = start(options)
    assert again.alive()


def test_a_stop_that_is_not_heard_ends_in_a_kill(options: SandboxOptions) -> None:
    with nothing_is_left_of(options) as family:
        sandbox = find(options)
        assert sandbox is not None
        signal.pidfd_send_signal(family.descriptors[sandbox.pid], signal.SIGSTOP)
        sandbox.stop(grace_seconds=0.1)
