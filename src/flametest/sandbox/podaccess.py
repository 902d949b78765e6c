"""How the API server reaches into running pods: the protocol `PodAccess`, which the agent implements."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

__all__ = ["ExecProcess", "LogOptions", "PodAccess", "not_executed"]


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What part of a container's log is wanted, as in the query of the API's ``log`` subresource.

    Attributes:
        follow: go on until the container ends.
        previous: of the instance before the last restart.
        timestamps: put the RFC 3339 time of writing before each line.
        tail_lines: only so many lines from the end; None for all.
        since_seconds: only lines not older; None for all.
        since_time: only lines not older than this second of Unix time; None for all.
        limit_bytes: stop after so many bytes; None for no limit.
    """

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since_seconds: int | None = None
    since_time: int | None = None
    limit_bytes: int | None = None


class ExecProcess(Protocol):
    """A command that runs in a container."""

    @property
    def refusal(self) -> str:
        """Why the command could not be executed at all; empty when it was. Known once its output has ended."""

    async def write(self, data: bytes) -> None:
        """Write to its standard input."""

    def close_stdin(self) -> None:
        """End its standard input."""

    def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield (1, bytes) of standard output and (2, bytes) of standard error until both end."""

    async def wait(self) -> int:
        """Return the exit code."""

    def kill(self) -> None:
        """End it at once."""


def not_executed(refusal: str) -> str:
    """Return what containerd and runc make of a command that could not be executed."""
    return (
        "failed to exec in container: failed to start exec: OCI runtime exec failed: exec failed: "
        f"unable to start container process: {refusal}"
    )


class PodAccess(Protocol):
    """What the agent offers to the API server. A container is named; an unknown one raises `StatusError` 400."""

    def logs(self, namespace: str, pod: str, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield pieces of the log."""

    def check_running(self, namespace: str, pod: str, container: str) -> None:
        """Return if a container runs, so that a command can be executed in it; raises `StatusError` if it does not."""

    async def execute(
        self, namespace: str, pod: str, container: str, command: list[str], *, stdin: bool, tty: bool
    ) -> ExecProcess:
        """Start a command in a running container."""
