"""Faults that overlap on a real system: healed in any order, its specifications are those of before, byte for byte.

Every fault is healed by its own record, as `heal_faults` does it by a name. A fault that may not overlap another one is
refused, and has touched nothing then. ``OVERLAPS_SEED`` and ``OVERLAPS_COUNT`` repeat draws, or shorten them.
"""

import itertools
import os
import random
from collections.abc import Sequence

import pytest

from flametest.faults.errors import FaultError
from flametest.faults.healing import place_of
from flametest.faults.owner import own_owner
from flametest.faults.safety import Radius
from flametest.faults.wrapper import InjectionOptions, Injector
from tests.faults.driver import FAULTS, Ending
from tests.faults.system import System, wait_until
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox

OVERLAPS = 200
MOMENTS = {"container-crash", "memory-hog", "rolling-restart"}
# What changes the same object, or what another fault needs.
SHORT = [
    ("fault-proxy", "service-removal"),
    ("random-errors", "dependency-outage"),
]
EVERY = [pair for pair in itertools.permutations(sorted(FAULTS.keys() - MOMENTS), 2) if pair not in SHORT]


def injector(system: System) -> Injector:
    radius = Radius(frozenset({"flametest"}), targets_max=30, pods_share_max=1, nodes_max=3)
    options = InjectionOptions(radius, system.home, own_owner(system.environment))
    place = place_of(system.client, system.environment["KUBECONFIG"], system.environment["KUBERNETES_CONTEXT"])
    return Injector(system.client, place, options, Ending("", "end"))


def overlap(system: System, names: Sequence[str], order: Sequence[int]) -> list[str]:
    """Inject faults one after another without waiting for proofs, and heal them in an order; return those refused."""
    injecting, records, refused = injector(system), [], []
    try:
        for name in names:
            fault = FAULTS[name]
            try:
                armed = injecting.arm(fault)
            except FaultError as error:
                refused.append(f"{name}: {error.message}")
                records.append("")
                continue
            records.append(armed.record)
            try:
                fault.inject(system.client, armed.targets)
            except FaultError as error:  # what was done by half is healed
                refused.append(f"{name}: {error.message}")
            injecting.injected(armed)
        for place in order:
            if records[place]:
                injecting.heal({records[place]})
    finally:
        healed = injecting.heal()
    assert all(one.healed for one in healed), healed
    return refused


@pytest.mark.parametrize("oldest_first", [True, False], ids=["oldest first", "newest first"])
@pytest.mark.parametrize(
    "pair", [*SHORT, *(pytest.param(pair, marks=pytest.mark.exhaustive) for pair in EVERY)], ids="+".join
)
def test_two_faults_at_once_healed_in_either_order_leave_the_system_as_it_was(
    system: System, pair: tuple[str, str], oldest_first: bool
) -> None:
    before = system.whole()
    refused = overlap(system, pair, (0, 1) if oldest_first else (1, 0))
    print(f"{'+'.join(pair)} refused: {refused}")
    assert system.specifications() == before
    assert (system.left(), system.guardians()) == (0, [])
    if pair in SHORT:
        assert refused == []


@pytest.mark.exhaustive
def test_three_faults_at_random_overlap_and_are_healed_in_an_order_drawn(system: System) -> None:
    seed = int(os.environ.get("OVERLAPS_SEED", random.SystemRandom().randrange(2**31)))
    count = int(os.environ.get("OVERLAPS_COUNT", OVERLAPS))
    drawing, names, all_refused = random.Random(seed), sorted(FAULTS.keys() - MOMENTS), 0
    print(f"OVERLAPS_SEED={seed} OVERLAPS_COUNT={count}", flush=True)
    for number in range(count):
        chosen, order = drawing.sample(names, 3), drawing.sample(range(3), 3)
        before = system.whole()
        refused = overlap(system, chosen, order)
        all_refused += len(refused)
        print(f"{number}: {'+'.join(chosen)} healed as {order}, refused: {refused}", flush=True)
        assert system.specifications() == before, (seed, number, chosen, order)
        assert system.left() == 0
    print(f"{count} overlaps of three, of whose {3 * count} faults {all_refused} were refused")
    assert all_refused < 1.5 * count


def test_the_guardian_heals_two_faults_when_their_process_is_killed(system: System) -> None:
    before = system.whole()
    done = system.driven("random-errors+service-removal", "injected", "SIGKILL")
    assert done.returncode == -9, done.stdout + done.stderr
    wait_until(lambda: not system.left() and not system.guardians(), PATIENCE_SECONDS)
    assert system.specifications() == before
