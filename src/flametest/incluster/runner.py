"""What the Job's pod runs: ``flametest run`` with the pod's arguments, and then the report for whoever fetches it.

    GET  /KEY/state           JSON: ``code``, how the run ended, null while it goes on
    GET  /KEY/report.tar.gz   the run's folder, once it has ended
    POST /KEY/stop            interrupts the run, which heals what it has injected
    POST /KEY/done            it was fetched: the pod ends

The pod ends with the run's own exit code, when the report was fetched or after FLAMETEST_REPORT_HOLD_SECONDS. SIGTERM,
as an eviction sends it, interrupts the run, which heals what it has injected. The summary is in the log in any case.
"""

import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

__all__ = ["HOLD_VARIABLE", "KEY_VARIABLE", "REPORT_PORT", "Runner", "main", "serving"]

REPORTS = Path("/reports")
REPORT_PORT = 8089
KEY_VARIABLE = "FLAMETEST_REPORT_KEY"
HOLD_VARIABLE = "FLAMETEST_REPORT_HOLD_SECONDS"
_REQUEST_SECONDS = 120.0
_NO_REPORT_SECONDS = 10.0  # for whoever waits to hear how it ended, where there is nothing to fetch


class Runner:
    """One run and its report.

    Args:
        key: what has to be known to ask.
        folder: the run's folder; made by the run.
    """

    def __init__(self, key: str, folder: Path) -> None:
        self.key = key
        self.folder = folder
        self.code: int | None = None
        self.fetched = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, command: list[str]) -> int:
        """Run the command to its end, print the summary that it has written, and return its exit code.

        That of a command which a signal has ended is 128 + its number, as shells and Kubernetes have it.
        """
        with subprocess.Popen(command) as process:
            self._process = process
            code = process.wait()
        code = code if code >= 0 else 128 - code
        self._process = None
        summary = self.folder / "summary.md"
        if summary.exists():
            print(summary.read_text(encoding="utf-8"), flush=True)
        self.code = code
        return code

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Pass a signal on as an interruption, and wait for nobody who might fetch a report."""
        self.fetched.set()
        self.stop()

    def stop(self) -> None:
        """Interrupt the run, which heals what it has injected; its report can be fetched as any other."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)

    def hold(self, seconds: float) -> None:
        """Wait until the report was fetched, or for ``seconds``; not long where there is none."""
        has_report = (self.folder / "run.json").exists()
        if has_report and not self.fetched.is_set():
            print(f"the report waits to be fetched for {seconds:g} s: flametest job fetch", flush=True)
        self.fetched.wait(seconds if has_report else min(seconds, _NO_REPORT_SECONDS))


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    runner: Runner
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        match self.path.strip("/").split("/"):
            case [self.runner.key, "state"]:
                self._answer(json.dumps({"code": self.runner.code}).encode(), "application/json")
            case [self.runner.key, "report.tar.gz"] if self.runner.code is not None and self.runner.folder.is_dir():
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", "application/gzip")
                self.end_headers()
                with tarfile.open(fileobj=self.wfile, mode="w|gz") as archive:
                    archive.add(self.runner.folder, arcname=".")
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        match self.path.strip("/").split("/"):
            case [self.runner.key, "done"]:
                self._answer(b"{}", "application/json")
                self.runner.fetched.set()
            case [self.runner.key, "stop"]:
                self.runner.stop()
                self._answer(b"{}", "application/json")
            case _:
                self.send_error(HTTPStatus.NOT_FOUND)

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the log is the run's."""


@contextmanager
def serving(runner: Runner, address: str, port: int) -> Iterator[int]:
    """Answer for a runner while the block runs, and yield the port; 0 asks for any free one."""

    class Handler(_Handler):
        pass

    Handler.runner = runner
    server = ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="report", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def main(arguments: list[str]) -> int:
    """Run, hold the report, and return the run's exit code."""
    runner = Runner(os.environ[KEY_VARIABLE], REPORTS / "run")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, runner.interrupt)

    command = [sys.executable, "-m", "flametest.cli", "run", "--out", str(runner.folder), *arguments]
    with serving(runner, "0.0.0.0", REPORT_PORT):  # noqa: S104 (a pod's own address)
        code = runner.run(command)
        runner.hold(float(os.environ.get(HOLD_VARIABLE, "600")))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
