"""A system with planted faults: requests to it with ids, its logs followed, and what its watches show."""

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from flametest.chaos.watching import Watching
from flametest.faults.protocol import Fault
from flametest.kube import KubeClient
from flametest.kube.resources import SERVICES
from flametest.load.exchange import Entry
from flametest.load.lanes import FreshLane, probe
from flametest.load.samplefile import SampleFile
from flametest.measure.paths import failure_paths
from flametest.measure.samples import read_samples
from flametest.model.events import Event, LogsFollowed, ServiceAddress, Stamp
from flametest.model.history import History
from flametest.model.paths import SLOW_MS, FailureCause, Trouble
from flametest.tracing import KEPT_LINES_FILE, LogFollower, LogPlace, read_kept

__all__ = ["NAMESPACE", "PATHS", "Planted", "Recorded", "Window", "named", "planted"]

NAMESPACE = "flametest"
PATHS = ("/hits", "/visits", "/shop/api/audit/books")
_EVERY_SECONDS = 0.15
_TIMEOUT_SECONDS = 1.0  # as the prober's


@dataclass(frozen=True, slots=True)
class Planted:
    """A fault, the path of the requests that are looked at, and the workloads of which one failed first."""

    name: str
    fault: Fault
    path: str
    truth: tuple[str, ...]
    trouble: tuple[Trouble, ...] = (Trouble.FAILED, Trouble.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Window:
    """When a fault lasted, or none did (monotonic)."""

    begin_ns: int
    end_ns: int


@dataclass(slots=True)
class Recorded:
    """What was recorded of all faults, one after the other."""

    folder: Path
    client: KubeClient
    events: list[Event] = field(default_factory=list)

    def causes(self, window: Window, path: str) -> tuple[FailureCause, ...]:
        """Return the causes of what failed or was slow of the requests of ``path`` that were sent in a window."""
        with (self.folder / "samples-planted.csv").open(newline="") as lines:
            samples = read_samples(lines).sent_between(window.begin_ns, window.end_ns)
        mask = samples.name_code == samples.names.index(f"GET {path}")
        with (self.folder / KEPT_LINES_FILE).open() as rows:
            kept = read_kept(rows)
        history = History(self.events)
        found = failure_paths(history, samples.where(mask), (), kept, slow_ms=SLOW_MS, t0_ns=window.begin_ns)
        return found.causes if found is not None else ()

    def note_services(self) -> None:
        """Note the Services of the system with their addresses, as a run does."""
        services = self.client.api.listed(SERVICES.path(NAMESPACE)).items
        found = tuple(ServiceAddress(one["metadata"]["name"], one["spec"]["clusterIP"]) for one in services)
        at = Stamp(time.monotonic_ns(), time.time())
        self.events.append(LogsFollowed(at, "planted", 1, 1, 1, 0, "", found, ""))


@contextmanager
def planted(client: KubeClient, place: LogPlace, url: str, folder: Path) -> Iterator[Recorded]:
    """Ask the entry all the time, and record, while the block runs; everything is written when it has ended."""
    recorded = Recorded(folder, client)
    watching = Watching(client, NAMESPACE, "planted", recorded.events.append)
    stopping = threading.Event()
    watching.start()
    try:
        with LogFollower(place, folder, SLOW_MS) as follower:
            asking = threading.Thread(target=lambda: asyncio.run(_ask(url, folder, stopping)))
            asking.start()
            try:
                recorded.note_services()
                yield recorded
            finally:
                stopping.set()
                asking.join()
                recorded.note_services()
                follower.stop()
    finally:
        watching.stop(comparing=False)


async def _ask(url: str, folder: Path, stopping: threading.Event) -> None:
    """Send requests at a fixed interval, each path in turn, whatever became of those before."""
    lanes = [(FreshLane(Entry.from_url(f"{url}{path}")), f"GET {path}") for path in PATHS]
    with SampleFile(folder / "samples-planted.csv") as file:

        async def one(lane: FreshLane, name: str) -> None:
            file.append(await probe(lane, name, time.monotonic_ns(), _TIMEOUT_SECONDS))
            file.flush()

        tasks: set[asyncio.Task[None]] = set()
        for lane, name in itertools.cycle(lanes):
            if stopping.is_set():
                break
            task = asyncio.create_task(one(lane, name))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            await asyncio.sleep(_EVERY_SECONDS / len(lanes))
        await asyncio.gather(*tasks)


def named(causes: Sequence[FailureCause], trouble: Sequence[Trouble]) -> str:
    """Return the workload that failed first in most of the requests with these troubles; empty for none."""
    found = [one for one in causes if one.trouble in trouble]
    return max(found, key=lambda one: one.alike).first_failed if found else ""
