"""Child processes of the agent, awaited through their pidfd.

The event loop's own subprocess support needs a thread a child (plain asyncio) or a hand in SIGCHLD (uvloop); a pidfd
needs neither, and a child here is one file descriptor. The one who creates a `Child` awaits or kills it.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

__all__ = ["Child", "give_to", "shell_code"]


def shell_code(return_code: int) -> int:
    """Return an exit code as shells and Kubernetes tell it: 128 + n for one who was ended by signal n."""
    return 128 - return_code if return_code < 0 else return_code


def give_to(owner: tuple[int, int] | None, *descriptors: int) -> None:
    """Make streams a user's and group's own, as container runtimes do, so that programs may open them: /dev/stdout."""
    if owner is not None:
        for descriptor in descriptors:
            os.fchown(descriptor, *owner)


class Child:
    """A process that was started, in a session of its own so that a Ctrl-C at the terminal does not reach it.

    Attributes:
        pid: of the process, in the agent's own process namespace.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: dict[str, str],
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.DEVNULL,
        stderr: int = subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
        session: bool = True,
    ) -> None:
        """Start the process, in a session of its own unless told otherwise; the caller closes its descriptors.

        Raises:
            OSError: the program does not exist, or the machine is out of processes.
        """
        self._loop = asyncio.get_running_loop()
        self._process = subprocess.Popen(
            arguments,
            env=environment,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            start_new_session=session,
        )
        self.pid = self._process.pid
        self._pidfd = os.pidfd_open(self.pid)
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(self._pidfd, self._on_end)

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._ended.done()

    async def wait(self) -> int:
        """Return the exit code, 128 + n after signal n."""
        return await asyncio.shield(self._ended)

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens when the process has ended."""
        if not self._ended.done():
            # The process is our child and not yet reaped, so its number cannot have been given to another.
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End the process at once, and with it what it has started and not yet made a session of its own.

        bubblewrap and nsenter start what they run by a fork, and only some instructions later it asks to die with its
        parent. The kernel lets no fork slip through a signal to a group.
        """
        self.signal(signal.SIGKILL)
        if not self._ended.done():
            # A command that is to get a terminal becomes the leader of a group just before it starts anything.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _on_end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._ended.set_result(shell_code(self._process.wait()))
