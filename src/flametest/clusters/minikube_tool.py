"""The program ``minikube`` as the provider uses it: every call bounded, its output kept, its failure explained.

A call belongs to one profile and to a kubeconfig of its own, so that neither the user's default profile nor the user's
kubeconfig is touched. What the program says is appended to a log while it says it, for a start takes minutes. A call
ends with its time limit, and with an interruption of the caller.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from flametest.clusters.minikube_failures import explain, explain_time_limit
from flametest.clusters.protocol import ClusterError

__all__ = ["Answer", "Minikube", "find_program"]

_GRACE_SECONDS = 10.0
_LOG_BYTES_MAX = 4_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended.

    Attributes:
        exit_code: of the program.
        text: what it wrote to standard output.
    """

    exit_code: int
    text: str


def find_program(environment: Mapping[str, str]) -> str | None:
    """Return the path of ``minikube`` on the PATH of ``environment``; None when it is not installed."""
    return shutil.which("minikube", path=environment.get("PATH"))


class Minikube:
    """One profile of an installed ``minikube``.

    Args:
        program: its path.
        profile: the profile that every call is for.
        folder: where kubeconfig and log are; it exists.
        environment: the present environment; the program's own variables in it, such as MINIKUBE_HOME, keep their
            effect.
    """

    def __init__(self, program: str, profile: str, folder: Path, environment: Mapping[str, str]) -> None:
        self._program = program
        self._profile = profile
        self.kubeconfig = folder / "kubeconfig"
        self.log = folder / "minikube.log"
        # Messages are told from one another by their English text, and LANGUAGE would win over LC_ALL.
        self._environment = {name: value for name, value in environment.items() if name != "LANGUAGE"} | {
            "KUBECONFIG": str(self.kubeconfig),
            "LC_ALL": "C",
            "MINIKUBE_IN_STYLE": "false",
            "MINIKUBE_WANTUPDATENOTIFICATION": "false",
        }

    def run(self, *arguments: str, seconds_max: float) -> str:
        """Carry out a command and return all that it said.

        Raises:
            ClusterError: it failed or took longer than ``seconds_max``; it runs no longer.
        """
        with self._open_log(arguments) as log:
            start = log.tell()
            code = self._call(arguments, log.fileno(), log.fileno(), seconds_max)
            said = self._said_since(start)
        if code != 0:
            raise explain(arguments, code, said, self.log)
        return said

    def ask(self, *arguments: str, seconds_max: float, accepted: frozenset[int] = frozenset({0})) -> Answer:
        """Ask something and return the answer.

        Args:
            arguments: the command.
            seconds_max: its time limit.
            accepted: exit codes that are answers, not failures.

        Raises:
            ClusterError: it failed or took longer than ``seconds_max``.
        """
        with self._open_log(arguments) as log, tempfile.TemporaryFile() as output:
            start = log.tell()
            code = self._call(arguments, output.fileno(), log.fileno(), seconds_max)
            output.seek(0)
            text = output.read().decode(errors="replace")
            log.write(f"{text.rstrip()}\n".encode())
            said = self._said_since(start)
        if code not in accepted:
            raise explain(arguments, code, said, self.log)
        return Answer(code, text)

    def _call(self, arguments: tuple[str, ...], output: int, errors: int, seconds_max: float) -> int:
        command = [self._program, f"--profile={self._profile}", *arguments]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=self._environment,
                start_new_session=True,
            )
        except OSError as error:
            raise ClusterError(f"{self._program} cannot be started: {error}", "check its installation") from error
        try:
            return process.wait(seconds_max)
        except subprocess.TimeoutExpired as error:
            raise explain_time_limit(arguments, seconds_max, self.log) from error
        finally:
            _end_group(process)

    def _open_log(self, arguments: tuple[str, ...]) -> FileIO:
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > _LOG_BYTES_MAX:
                self.log.replace(self.log.with_suffix(".log.1"))
        log = open(self.log, "ab", buffering=0, opener=_private)  # noqa: SIM115 (the caller does)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        log.write(f"# {stamp} minikube {' '.join(arguments)}\n".encode())
        return log

    def _said_since(self, start: int) -> str:
        with self.log.open("rb") as log:
            log.seek(start)
            return log.read().decode(errors="replace")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """End a call that still runs, and the programs that it started; one that has ended may have left a machine."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
