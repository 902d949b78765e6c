"""A run in progress, watched: the report of what is recorded so far, served from loopback.

`LiveReport` analyses a copy of the run's folder, so that nothing it does can disturb the run, and does so again only
when something was recorded since. `serving` answers a browser with that page and tells it to come back; once the run
has ended, its own report is served as it is. Both end with the command that began them.
"""

import html
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flametest.model.errors import FlametestError
from flametest.report import render_html
from flametest.run.analyse import analyse
from flametest.run.experiment import SUFFIXES
from flametest.run.folder import RAW_HISTORY, RAW_SAMPLES, RunFolder
from flametest.run.project import Project, ProjectError

__all__ = ["LivePage", "LiveReport", "newest_run", "serving"]

REFRESH_SECONDS = 4  # as often as a chart visibly grows; analysing a whole run takes less
_IDLE_SECONDS = 60.0  # a run that records nothing for so long has probably been killed
_REQUEST_SECONDS = 30.0  # a browser's idle connection is closed after this
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1"})
_TYPES = {
    ".csv": "text/csv",
    ".gz": "application/gzip",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".jsonl": "text/plain; charset=utf-8",
    ".log": "text/plain; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".prom": "text/plain; charset=utf-8",
    ".xml": "application/xml",
}


@dataclass(frozen=True, slots=True)
class LivePage:
    """The page of a moment; ``has_ended`` when it is the report of a run that is over."""

    text: str
    has_ended: bool


class LiveReport:
    """The report of one run's folder at any moment; safe to be asked by several threads."""

    def __init__(self, folder: Path, project: Project) -> None:
        self._folder = RunFolder.open(folder)
        self._project = project
        self._lock = threading.Lock()
        self._seen: tuple[object, ...] = ()
        self._text = ""

    @property
    def path(self) -> Path:
        """Return the run's folder."""
        return self._folder.path

    def page(self) -> LivePage:
        """Return the report as of now; while too little is recorded to be measured, a page that says so."""
        with self._lock:
            report = self.path / "report.html"
            if (self.path / "result.json").exists() and report.exists():
                return LivePage(report.read_text(encoding="utf-8"), has_ended=True)
            recorded = _recorded(self.path)
            newest_ns = max((changed_ns for _, _, changed_ns in recorded), default=0)
            idle_seconds = (time.time_ns() - newest_ns) / 1e9
            seen = (recorded, idle_seconds > _IDLE_SECONDS)
            if seen != self._seen:
                self._text = self._render(is_idle=idle_seconds > _IDLE_SECONDS)
                self._seen = seen
            return LivePage(self._text, has_ended=False)

    def _render(self, *, is_idle: bool) -> str:
        with tempfile.TemporaryDirectory(prefix="flametest-watch-") as scratch:
            try:
                copy = _copy(self._folder, Path(scratch) / "run")
                result = analyse(copy, self._project)
                progress = _progress(self._folder, copy, is_idle=is_idle)
            except (FlametestError, OSError, shutil.Error) as error:
                # A scenario may have ended while its files were copied: the next look finds them in their places.
                return _waiting_page(error.message if isinstance(error, FlametestError) else str(error))
            return render_html(result, progress=progress)


def newest_run(reports: Path) -> Path:
    """Return the folder of the run that was begun last.

    Raises:
        ProjectError: there is none.
    """
    begun = [one.parent for one in reports.glob("*/run.json") if not one.parent.is_symlink()]
    if not begun:
        raise ProjectError(f"there is no run in {reports}", "start one with `flametest run`, or name its folder")
    return max(begun, key=lambda folder: (folder / "run.json").stat().st_mtime_ns)


@contextmanager
def serving(report: LiveReport, port: int) -> Iterator[str]:
    """Serve a report on 127.0.0.1 while the context is open, and yield its address.

    Args:
        report: what is shown.
        port: where; 0 for any free one.

    Raises:
        ProjectError: the port is taken.
    """

    class Handler(_Handler):
        shown = report

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise ProjectError(f"port {port} cannot be used: {error.strerror}", "name another with --port") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="flametest-watch", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection: the page at ``/``, and the run's own files, for which the page has links."""

    shown: LiveReport
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in _LOCAL_NAMES:
            # A page of somebody else's must not reach this server by a name that it points at loopback.
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        path = unquote(urlsplit(self.path).path)
        if path == "/":
            page = self.shown.page()
            self._answer(page.text.encode(), _TYPES[".html"], refresh=not page.has_ended)
            return
        file = (self.shown.path / path.lstrip("/")).resolve()
        if not file.is_relative_to(self.shown.path) or not file.is_file() or file.suffix not in _TYPES:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self._answer(file.read_bytes(), _TYPES[file.suffix], refresh=False)

    def _answer(self, body: bytes, kind: str, *, refresh: bool) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if refresh:
            self.send_header("Refresh", str(REFRESH_SECONDS))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal belongs to the command."""


def _recorded(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Return name, size and time of change of every file that a run has written so far."""
    found = []
    for file in sorted(path.rglob("*")):
        try:
            state = file.stat()
        except FileNotFoundError:  # folded into the run's files meanwhile
            continue
        if file.is_file():
            found.append((str(file), state.st_size, state.st_mtime_ns))
    return tuple(found)


def _copy(folder: RunFolder, target: Path) -> RunFolder:
    """Copy what a run has recorded, with only those scenarios in its inputs that have begun."""
    shutil.copytree(folder.path, target, ignore=shutil.ignore_patterns("logs", "*.html"))
    copy = RunFolder.open(target)
    begun = (name for name in copy.inputs().scenarios if _has_begun(target, name))
    copy.restrict(tuple(begun))
    return copy


def _has_begun(path: Path, name: str) -> bool:
    return any(any((path / "scenarios" / name).rglob(f"{name}{suffix}")) for suffix in SUFFIXES)


def _progress(folder: RunFolder, copy: RunFolder, *, is_idle: bool) -> str:
    """Return in a sentence how far the run is."""
    planned, begun = folder.inputs().scenarios, copy.inputs().scenarios
    if is_idle:
        return (
            f"nothing has been recorded for a while, in scenario {len(begun)} of {len(planned)}; if the run was "
            "killed, `flametest report` can still analyse it"
        )
    if not begun:
        return f"the first scenario of {len(planned)} has not begun yet"
    running = [name for name in begun if _is_recorded(folder.path / "scenarios" / name)]
    if len(running) > 1:
        ended = len(begun) - len(running)
        return (
            f"{len(running)} of {len(planned)} scenarios in progress, {', '.join(running)}, and {ended} ended; figures "
            "can still change"
        )
    return f"scenario {len(begun)} of {len(planned)}, {begun[-1]}, in progress; figures can still change"


def _is_recorded(scenario: Path) -> bool:
    """Return whether raw files are there, which are moved into those of the run when the scenario ends."""
    return any(scenario.rglob(RAW_HISTORY)) or any(scenario.rglob(RAW_SAMPLES))


def _waiting_page(reason: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Flametest: waiting</title>'
        '<body style="font:18px system-ui,sans-serif;margin:3em;color-scheme:light dark"><h1>Nothing to show yet</h1>'
        f"<p>{html.escape(reason)}.</p><p>This page looks again every {REFRESH_SECONDS} seconds.</p>"
    )
