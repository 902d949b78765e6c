"""Of systems drawn at random, needs are found, none is invented, and an entry is right or called a guess."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from flametest.starter.evidence import Certainty
from flametest.starter.roles import RoleName
from flametest.starter.topology import Topology
from tests.starter.random_systems import WAYS, RandomSystem, draw_system
from tests.starter.systems import topology_of

FOUND_SHARE_MIN = 0.98
_BESIDE = ("loadgenerator", "grafana", "statsd", "agent", "asleep")


@dataclass
class Tally:
    """What came of all systems; what was wrong is kept with its seed, to be looked at."""

    needs: int = 0
    missed: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    wrong_entries: list[str] = field(default_factory=list)
    guesses: int = 0
    scaled_stores: list[str] = field(default_factory=list)


def tally_of(seeds: Iterable[int]) -> Tally:
    tally = Tally()
    for seed in seeds:
        drawn = draw_system(seed)
        judge(tally, seed, drawn, topology_of(*drawn.objects))
    return tally


def judge(tally: Tally, seed: int, drawn: RandomSystem, topology: Topology) -> None:
    found = {
        (drawn.parts[one.workload.name], one.service): one
        for one in topology.dependencies
        if one.workload.name not in _BESIDE
    }
    tally.needs += len(drawn.needs)
    tally.missed += [f"{seed}: {need} by {drawn.rendered[need]}" for need in sorted(drawn.needs - found.keys())]
    tally.invented += [f"{seed}: {need}, {found[need].evidence}" for need in sorted(found.keys() - drawn.needs)]
    entry = topology.entry.name if topology.entry else ""
    if topology.entrance.certainty is Certainty.GUESSED:
        tally.guesses += 1
    elif entry != drawn.entry:
        tally.wrong_entries.append(f"{seed}: {entry} ({topology.entrance.reason}) in place of {drawn.entry}")
    for one in topology.system.workloads:
        if one.name in drawn.store_workloads and not topology.role_of(one).keeps_data:
            tally.scaled_stores.append(f"{seed}: {one} is {topology.role_of(one)}")


def check(tally: Tally) -> None:
    assert tally.invented == []
    assert tally.wrong_entries == []
    assert tally.scaled_stores == []
    assert len(tally.missed) <= (1 - FOUND_SHARE_MIN) * tally.needs, tally.missed


def test_of_two_hundred_systems_what_is_told_is_true() -> None:
    tally = tally_of(range(200))
    check(tally)
    assert tally.needs > 500
    assert tally.guesses < 100, "a guess is for where nothing tells"


@pytest.mark.exhaustive
def test_of_thousands_of_systems_what_is_told_is_true() -> None:
    check(tally_of(range(1000, 6000)))


def test_every_way_to_write_a_need_is_tried() -> None:
    tried = {way for seed in range(200) for way in draw_system(seed).rendered.values()}
    assert tried == {way.__name__ for way in WAYS}


def test_a_load_generator_and_an_observer_are_told_as_such() -> None:
    roles: dict[str, RoleName] = {}
    for seed in range(40):
        topology = topology_of(*draw_system(seed).objects)
        roles |= {one.name: topology.role_of(one).name for one in topology.system.workloads}
    assert (roles["loadgenerator"], roles["grafana"]) == (RoleName.GENERATOR, RoleName.OBSERVER)
