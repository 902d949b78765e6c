"""The soak: random changes to a sandbox for a time, after which it must hold no more than before.

    nox -s soak [-- --seconds 600 --seed 1]

It brings the sandbox into a settled state after a warm-up and takes a census; makes changes; brings it into the same
settled state and takes a census again. The state must be what the specs ask, the censuses equal, and memory (the
proportional set size of the sandbox's own processes, the least of some readings) within a fifth of what it was. What
takes a moment to go, such as a namespace of a pod that has just ended, gets it.

Among what runs are stand-ins and real images: from the store, as root and as another user, and pulled from a registry.

The warm-up records as many events as are kept and changes as watches may start from, since both are bounded and only
grow up to their bounds; then it makes changes for a third of the time, at most two minutes.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flametest.sandbox.apiserver.housekeeping import EVENTS_MAX
from flametest.sandbox.images import ImageStore
from flametest.sandbox.launch import Sandbox, SandboxOptions, image_store, start
from flametest.sandbox.store import RING_CHANGES
from tests.addresses import own_address
from tests.sandbox.conftest import Api
from tests.soak.census import Census, differences, take
from tests.soak.real_images import real_images
from tests.soak.workload import Workload

__all__ = ["Outcome", "main", "soak"]

CHANGE_SECONDS = 0.25
FILLING_EVENTS = EVENTS_MAX + RING_CHANGES
MEMORY_GROWTH_MAX = 0.2
REST_SECONDS_MAX = 60.0
SETTLE_SECONDS_MAX = 120.0
TOLD_EVERY_SECONDS = 30.0
WARM_UP_PART = 3
WARM_UP_SECONDS_MAX = 120.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What a soak found.

    Attributes:
        changes: how many were made of each kind.
        leaked: what there is more or less of than before, with both figures.
        memory_bytes: before and after.
    """

    changes: dict[str, int]
    leaked: dict[str, tuple[int, int]]
    memory_bytes: tuple[int, int]

    @property
    def memory_growth(self) -> float:
        """How much more memory there is than before, as a part of what there was."""
        before, after = self.memory_bytes
        return after / before - 1

    @property
    def passed(self) -> bool:
        """Whether nothing has leaked and memory stayed within its bound."""
        return not self.leaked and abs(self.memory_growth) <= MEMORY_GROWTH_MAX


def soak(
    sandbox: Sandbox, seconds: float, seed: int, say: Say = lambda _: None, *, filling_events: int = FILLING_EVENTS
) -> Outcome:
    """Soak a sandbox that runs nothing else; raises AssertionError when it does not settle."""
    with real_images(ImageStore(image_store(sandbox.state_folder.parents[1]))) as images:
        return _soaked(sandbox, Workload(Api(sandbox), random.Random(seed), images), seconds, say, filling_events)


def _soaked(sandbox: Sandbox, workload: Workload, seconds: float, say: Say, filling_events: int) -> Outcome:
    api = workload.api
    workload.begin()
    workload.fill(filling_events)
    tell = _teller(sandbox, workload, say)
    _change(workload, min(seconds / WARM_UP_PART, WARM_UP_SECONDS_MAX), tell)
    _settle(workload)
    before = _rest(sandbox, api, None)
    memory_before = _memory(sandbox)
    say(f"settled after the warm-up: {memory_before / 1e6:.1f} MB, {sum(before.values())} things counted")
    _change(workload, seconds, tell)
    _settle(workload)
    after = _rest(sandbox, api, before)
    return Outcome(workload.done, differences(before, after), (memory_before, _memory(sandbox)))


def _teller(sandbox: Sandbox, workload: Workload, say: Say) -> Callable[[float], None]:
    """Return what tells of a soak that goes on, now and then."""
    told = 0

    def tell(elapsed_seconds: float) -> None:
        nonlocal told
        if (period := int(elapsed_seconds / TOLD_EVERY_SECONDS)) != told:
            told = period
            changes = sum(workload.done.values())
            say(f"{elapsed_seconds:4.0f} s: {changes} changes, {sandbox.memory() / 1e6:.1f} MB")

    return tell


def _change(workload: Workload, seconds: float, tell: Callable[[float], None]) -> None:
    begun = time.monotonic()
    while (now := time.monotonic()) < begun + seconds:
        workload.change()
        tell(now - begun)
        time.sleep(max(now + CHANGE_SECONDS - time.monotonic(), 0))


def _settle(workload: Workload) -> None:
    workload.settle()
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while unmet := workload.unmet():
        assert time.monotonic() < deadline, f"the state is not what was asked for: {'; '.join(unmet)}"
        time.sleep(0.2)


def _rest(sandbox: Sandbox, api: Api, wanted: Census | None) -> Census:
    """Return a census when it is as wanted, or no longer changes, or the patience is over."""
    deadline = time.monotonic() + REST_SECONDS_MAX
    last, same = _census(sandbox, api), 0
    while last != wanted and time.monotonic() < deadline:
        time.sleep(0.5)
        now = _census(sandbox, api)
        same = same + 1 if now == last else 0
        last = now
        if wanted is None and same == 5:
            break
    return last


def _census(sandbox: Sandbox, api: Api) -> Census:
    with api.open("/metrics") as answer:
        return take(sandbox, answer.read().decode())


def _memory(sandbox: Sandbox) -> int:
    readings = []
    for _ in range(5):
        readings.append(sandbox.memory())
        time.sleep(0.2)
    return min(readings)


def main() -> int:
    """Soak a sandbox of its own and print what was found; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600, help="how long to make changes (default 600)")
    parser.add_argument("--seed", type=int, default=1, help="of the changes that are drawn (default 1)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        sandbox = start(SandboxOptions(name="soak", home=Path(home), node_port_address=own_address("soak")))
        try:
            outcome = soak(sandbox, arguments.seconds, arguments.seed, lambda line: print(line, flush=True))
        finally:
            sandbox.stop()
    changes = ", ".join(f"{count} {name}" for name, count in sorted(outcome.changes.items()))
    before, after = outcome.memory_bytes
    print(f"seed {arguments.seed}, load average {os.getloadavg()[0]:.1f}")
    print(f"changes   {changes}")
    print(f"memory    {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB after ({outcome.memory_growth:+.1%})")
    for thing, (was, there_are) in outcome.leaked.items():
        print(f"leaked    {thing}: {was} before, {there_are} after")
    print("passed" if outcome.passed else "failed")
    return 0 if outcome.passed else 1


if __name__ == "__main__":
    sys.exit(main())
