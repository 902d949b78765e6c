"""Measure what users feel of everything that faults do before they are injected: of all soundings, without any fault.

    python -m scripts.bench_observer [--cluster KUBECONFIG,CONTEXT,URL] [--rounds 4] [--seconds 15]

The shipped system has to be deployed on the cluster; without one, a sandbox is started with it, and ended. First the
capacity is found: what the system serves when as many requests are under way as it can take. Then it gets half of that,
in turns with soundings and without.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from flametest.clusters import ClusterOptions, provide
from flametest.faults.container_crash import ContainerCrash
from flametest.faults.dns_outage import DnsOutage
from flametest.faults.enforcement import try_enforcement
from flametest.faults.intrusion import Intrusion
from flametest.faults.network_partition import NetworkPartition
from flametest.faults.protocol import Fault, Prepares
from flametest.faults.selection import PodSelection
from flametest.faults.service_removal import ServiceRemoval
from flametest.kube import KubeClient, connect
from flametest.run.awaiting import READY_SECONDS
from flametest.run.deploy import NAMESPACE
from flametest.run.project import Project

ROOT = Path(__file__).parents[1]
ADDRESS = "127.0.0.45"
PATH = "/shop/api/events"
UNDER_WAY = 16  # enough to keep every process of the system busy
CAPACITY_SECONDS = 6.0
TIMEOUT_SECONDS = 5.0
FAULTS: tuple[Fault, ...] = (
    ServiceRemoval(NAMESPACE, "logic"),
    NetworkPartition(NAMESPACE, "logic", 8080),
    Intrusion(NAMESPACE, {"logic": 8080, "postgres": 5432, "redis": 6379}, ("nginx", 8080)),
    DnsOutage(NAMESPACE, "frontend"),
    ContainerCrash(PodSelection(NAMESPACE, "app=api")),
)


@dataclass(slots=True)
class Felt:
    """What became of requests: seconds from their intended start to a good answer, and the longest time without one."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    silence: float = 0.0
    soundings: int = 0

    def __str__(self) -> str:
        times = sorted(self.seconds)
        told = [f"p{share} {1000 * times[len(times) * share // 100]:.0f} ms" for share in (50, 95, 99)]
        return (
            f"{len(times) + self.failed} requests, {self.failed} failed, {', '.join(told)}, "
            f"slowest {1000 * times[-1]:.0f} ms, longest time without a good answer {1000 * self.silence:.0f} ms, "
            f"{self.soundings} rounds of soundings"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cluster", metavar="KUBECONFIG,CONTEXT,URL", help="one with the shipped system")
    parser.add_argument("--rounds", type=int, default=4, help="turns of each kind (default 4)")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of a turn (default 15)")
    options = parser.parse_args()
    with ExitStack() as stack:
        kubeconfig, context, url = (
            options.cluster.split(",") if options.cluster else stack.enter_context(sandbox_with_the_system())
        )
        client = stack.enter_context(connect(kubeconfig, context))
        _compare(client, url, options.rounds, options.seconds)


def _compare(client: KubeClient, url: str, rounds: int, seconds: float) -> None:
    capacity = asyncio.run(_capacity(url))
    print(
        f"load average {os.getloadavg()[0]:.1f}; capacity {capacity:.0f} requests a second; offered {capacity / 2:.0f}"
    )
    felt = {"without soundings": Felt(), "with soundings": Felt()}
    # In the order ABBA ABBA, so that a machine that gets slower, or faster, favours neither.
    for turn in range(2 * rounds):
        sounding = turn % 4 in (1, 2)
        into = felt["with soundings" if sounding else "without soundings"]
        with _soundings(client, into) if sounding else nullcontext():
            asyncio.run(offer(url, capacity / 2, seconds, into))
    for name, one in felt.items():
        print(f"{name}: {one}")
    apart = [statistics.median(one.seconds) * 1000 for one in felt.values()]
    print(f"median with soundings {apart[1] - apart[0]:+.1f} ms")


@contextmanager
def sandbox_with_the_system() -> Iterator[tuple[str, str, str]]:
    """Run a sandbox with the shipped system; yield its kubeconfig, context and entry."""
    project = Project(ROOT)
    with tempfile.TemporaryDirectory() as home:
        os.environ["FLAMETEST_HOME"] = home
        cluster = provide("sandbox", ClusterOptions(images_file=project.images_file, node_port_address=ADDRESS))
        access = cluster.up()
        try:
            with connect(access.kubeconfig, access.context) as client:
                client.apply(project.manifests)
                client.wait_ready(NAMESPACE, READY_SECONDS)
            yield str(access.kubeconfig), access.context, access.url
        finally:
            cluster.down()


async def _capacity(url: str) -> float:
    """Return how many requests a second are answered while `UNDER_WAY` are under way all the time."""
    end, answered = time.monotonic() + CAPACITY_SECONDS, 0

    async def ask_on(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        while time.monotonic() < end:
            answered += await _ask(session, url)

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT_SECONDS)) as session:
        await asyncio.gather(*(ask_on(session) for _ in range(UNDER_WAY)))
    return answered / CAPACITY_SECONDS


async def offer(url: str, rate: float, seconds: float, felt: Felt) -> None:
    """Send requests at a rate, whatever became of earlier ones."""
    begin = time.monotonic()
    answered = [begin]

    async def one(session: aiohttp.ClientSession, intended: float) -> None:
        await asyncio.sleep(max(0.0, intended - time.monotonic()))
        if await _ask(session, url):
            answered.append(time.monotonic())
            felt.seconds.append(answered[-1] - intended)
            felt.silence = max(felt.silence, answered[-1] - answered[-2])
        else:
            felt.failed += 1

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(TIMEOUT_SECONDS)) as session:
        await asyncio.gather(*(one(session, begin + number / rate) for number in range(int(rate * seconds))))


async def _ask(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url + PATH) as answer:
            await answer.read()
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


@contextmanager
def _soundings(client: KubeClient, felt: Felt) -> Iterator[None]:
    """Sound for every fault again and again for the time of the block; raises what a sounding raised."""
    ended, errors = threading.Event(), list[Exception]()

    def sound_on() -> None:
        try:
            while not ended.is_set():
                _sound(client, FAULTS)
                felt.soundings += 1
        except Exception as error:  # told to whoever waits for the end, in whose thread this is not
            errors.append(error)

    thread = threading.Thread(target=sound_on, name="soundings")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if errors:
        raise errors[0]


def _sound(client: KubeClient, faults: Sequence[Fault]) -> None:
    """Do all that comes before each fault, and take back what was made for it."""
    for fault in faults:
        targets = fault.targets(client)
        state = fault.record(client, targets)
        if isinstance(fault, Prepares):
            fault.prepare(client, targets)
        if fault.lasts:
            type(fault).heal(client, state)
    try_enforcement(client, NAMESPACE)


if __name__ == "__main__":
    main()
