"""Whatever an experiment would run, wherever it stands: nothing outside the blast radius is touched.

By stock ``chaos run``, validated or not, and by what ``flametest run`` does before it starts anything.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from flametest.clusters import Access
from flametest.kube import KubeClient, connect
from flametest.model.errors import FlametestError
from flametest.run.experiment import Experiment, load_experiment
from flametest.run.rehearsal import aim_all, check_all
from tests.chaos.cells import ACTING, Cell, Victim, cells
from tests.environment import neutral_environment

DRIVER = Path(__file__).with_name("chaos_driver.py")
# What Chaos Toolkit itself would not get to: a fault takes no argument "value", as it gives to a tolerance.
HARMLESS_BY_ITSELF = {"tolerance-extension", "tolerance-filled-extension"}
# Refused only when the targets are resolved, since the fault itself is known; all others before anything is sent.
RESOLVED = {"method-action-extension", "method-background-extension", "method-ref-extension"} | {
    "rollbacks-action-extension"
}


class Counting(ThreadingHTTPServer):
    """An address that remembers by which methods it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Counter)
        self.methods: list[str] = []

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Counter(BaseHTTPRequestHandler):
    server: Counting

    def _count(self) -> None:
        self.server.methods.append(self.command)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_DELETE = _count  # noqa: N815 (names of the library's)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def counting() -> Iterator[Counting]:
    server = Counting()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="counting")
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Laboratory:
    """Runs cells, and tells which of them touched the victim."""

    def __init__(self, folder: Path, run: Any, cluster: Any, counting: Counting) -> None:
        self.folder = folder
        self.environment = neutral_environment() | run.environment
        self.environment["HOME"] = str(folder)
        self.victim = Victim(folder / "victim", counting.url)
        self.entry = run.environment["FLAMETEST_URL"]
        self._cluster = cluster
        self._counting = counting

    def write(self, cell: Cell, options: Sequence[str] = ()) -> dict[str, Any]:
        """Write what a cell needs into a folder of its own, and return the command that runs it."""
        folder = self.folder / f"{cell.name}{''.join(options)}"
        folder.mkdir()
        settings = folder / "settings.json"
        contents = {
            "acting.py": ACTING,
            "acting_control.py": self.victim.control_module(),
            "experiment.json": json.dumps(cell.document),
            "settings.json": json.dumps(cell.settings or {"runtime": {}}),
            **cell.files,
        }
        for name, text in contents.items():
            (folder / name).write_text(text)
        before = ["--no-version-check", "--no-log-file", "--settings", str(settings), "run"]
        return {"folder": str(folder), "arguments": [*before, *options, *cell.options, "experiment.json"]}

    def run(self, cell_list: Sequence[Cell], options: Sequence[str] = (), driver: Sequence[str] = ()) -> dict[str, Any]:
        """Run cells by ``chaos run``, and return the exit code of each, and whether it touched the victim."""
        done = {}
        with subprocess.Popen(
            [sys.executable, str(DRIVER), *driver],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=self.folder,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for cell in cell_list:
                process.stdin.write(json.dumps(self.write(cell, options)) + "\n")
                process.stdin.flush()
                code = json.loads(process.stdout.readline())
                output = (self.folder / f"{cell.name}{''.join(options)}" / "output.log").read_text()
                done[cell.name] = (code, self.touched(), output)
            process.stdin.close()
        return done

    def touched(self) -> list[str]:
        """Return what was touched since this was asked last."""
        found: list[str] = ["file"] * self.victim.file.exists() + self._cluster.deleted
        found += [method for method in self._counting.methods if method != "GET"]
        self.victim.file.unlink(missing_ok=True)
        self._cluster.deleted.clear()
        self._counting.methods.clear()
        return found


@pytest.fixture
def laboratory(tmp_path: Path, chaos_run: Any, cluster: Any, counting: Counting) -> Laboratory:
    chaos_run.environment["FLAMETEST_RECORD_DIR"] = ""
    folder = tmp_path / "laboratory"
    folder.mkdir()
    return Laboratory(folder, chaos_run, cluster, counting)


def assert_untouched(done: dict[str, Any]) -> None:
    assert {name: touched for name, (_, touched, _) in done.items() if touched} == {}
    assert {name for name, (code, _, _) in done.items() if code == 0} == set()
    assert {name for name, (_, _, output) in done.items() if "Traceback" in output} == set()


@pytest.fixture(params=["each place once", pytest.param("every cell", marks=pytest.mark.exhaustive)])
def chosen(request: pytest.FixtureRequest) -> Callable[[Iterable[Cell]], list[Cell]]:
    """Return what chooses among the cells: all of them, or one for each place, the providers taking turns."""
    return list if request.param == "every cell" else _each_place_once


def _each_place_once(every: Iterable[Cell]) -> list[Cell]:
    places: dict[str, list[Cell]] = {}
    for cell in every:
        places.setdefault(cell.place, []).append(cell)
    return [found[number % len(found)] for number, found in enumerate(places.values())]


def test_without_the_recorder_every_cell_touches_the_victim(laboratory: Laboratory, chosen: Any) -> None:
    some = chosen(cells(laboratory.victim, laboratory.entry, measured=False))
    done = laboratory.run(some)
    harmless = {cell.name for cell in some} & HARMLESS_BY_ITSELF
    assert {name for name, (_, touched, _) in done.items() if not touched} == harmless


def test_no_cell_touches_it_by_chaos_run(laboratory: Laboratory, cluster: Any, chosen: Any) -> None:
    every = list(cells(laboratory.victim, laboratory.entry, measured=True))
    early = chosen(cell for cell in every if cell.name not in RESOLVED)
    assert_untouched(laboratory.run(early))
    assert cluster.requests == 0, "something was sent"
    resolved = laboratory.run(chosen(cell for cell in every if cell.name in RESOLVED))
    assert_untouched(resolved)
    assert all("namespace 'prod' is not one of flametest" in output for _, _, output in resolved.values())


def test_nor_when_the_experiment_is_not_validated(laboratory: Laboratory, chosen: Any) -> None:
    every = cells(laboratory.victim, laboratory.entry, measured=True)
    assert_untouched(laboratory.run(chosen(one for one in every if one.name not in RESOLVED), ("--no-validation",)))


@pytest.mark.exhaustive
def test_nor_where_the_plugin_is_not_installed(laboratory: Laboratory) -> None:
    """The recorder's own module puts the gate in its place then, when the experiment is validated."""
    every = cells(laboratory.victim, laboratory.entry, measured=True)
    # Its own ``validate_control`` comes before that of the recorder.
    later = [one for one in every if one.name not in RESOLVED and one.place != "control-first"]
    assert_untouched(laboratory.run(later, driver=("--without-plugin",)))


def test_nor_does_flametest_run_start_anything_for_one(
    laboratory: Laboratory, chaos_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = Access(Path(chaos_run.environment["KUBECONFIG"]), "pretended", laboratory.entry, "flametest")
    with connect(access.kubeconfig, access.context) as client:
        for cell in cells(laboratory.victim, laboratory.entry, measured=True):
            if cell.options[:1] == ("--var-file",) or cell.place in ("settings", "control-file"):
                continue  # which it does not take
            folder = Path(laboratory.write(cell)["folder"])
            monkeypatch.chdir(folder)
            experiments = [load_experiment(folder / "experiment.json")]
            with pytest.raises(FlametestError) as raised:
                _aim(client, access, experiments)
            assert laboratory.touched() == [], cell.name
            assert "\n" not in raised.value.message
            assert raised.value.message.startswith("experiment.json: ")
            assert raised.value.remedy


def _aim(client: KubeClient, access: Access, experiments: list[Experiment]) -> None:
    check_all(experiments)
    aim_all(client, access, experiments)
