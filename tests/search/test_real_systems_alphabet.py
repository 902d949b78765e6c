"""The alphabet of the shipped shop: what its experiments name, what `init` would write, and slow edges."""

import json
import shutil
from pathlib import Path

import pytest

from flametest.chaos.gate import check_experiment
from flametest.chaos.preview import foreseen
from flametest.chaos.values import load_values
from flametest.faults.catalogue import FAULTS
from flametest.search.alphabet import alphabet_of, chosen, read_folder, written_paths
from flametest.search.calls import is_passing, kind_of, pods_taken
from flametest.search.candidates import Space, worth_trying
from flametest.search.errors import SearchError
from flametest.search.experiment import Described, document
from flametest.search.letters import Alphabet, Dose, Kind, Trial
from flametest.search.structure import Structure
from flametest.search.terrain import structure_of
from flametest.starter import make_plan, make_topology, user_paths
from flametest.starter import read_folder as read_manifests

ROOT = Path(__file__).parents[2]


def read_system(manifests: Path, experiments: Path) -> tuple[Alphabet, Structure]:
    topology = make_topology(read_manifests(manifests, ""))
    written = read_folder(experiments)
    paths = tuple(dict.fromkeys((*written_paths(written), *user_paths(topology))))
    structure = structure_of(topology, paths)
    plan = make_plan(topology, "http://127.0.0.1", paths)
    return alphabet_of(topology, plan, written, structure, 1), structure


@pytest.fixture(scope="module")
def shop() -> tuple[Alphabet, Structure]:
    return read_system(ROOT / "manifests", ROOT / "experiments")


def test_a_fault_of_the_folder_takes_the_place_of_one_that_would_be_made_up(shop: tuple[Alphabet, Structure]) -> None:
    letters = shop[0].letters

    assert letters["redis-outage"].source == "redis-outage.json"
    assert not any(name.startswith("outage-") for name in letters)
    assert letters["slow-logic"].source == "slow-logic.json"
    assert letters["edge-slow-logic"].source == "needs graph"  # an edge is disturbed, not the part itself
    assert letters["slow-logic-for-one-caller"].source == "slow-logic-for-one-caller.json"


def test_what_an_experiment_hits_is_told_by_its_fault_and_not_by_whose_recovery_it_measures(
    shop: tuple[Alphabet, Structure],
) -> None:
    letter = shop[0].letters["slow-redis"]

    assert (letter.part, letter.kind) == ("redis", Kind.DEGRADED)
    assert [level.words for level in letter.levels] == ["1000 ms later", "500 ms later", "250 ms later", "40 ms later"]


def test_every_fault_hits_a_part_of_a_path_and_the_only_way_in_is_left_alone(shop: tuple[Alphabet, Structure]) -> None:
    alphabet, structure = shop

    assert all(structure.path_of([one.part]) for one in alphabet.letters.values())
    assert any(told.startswith("remove-service-nginx: it is the only way in") for told in alphabet.left_out)


def test_without_a_node_to_hit_no_fault_hits_one(shop: tuple[Alphabet, Structure]) -> None:
    alphabet, structure = shop
    sets = worth_trying(Space(alphabet, structure, size=1, nodes_max=0), 1, {})

    assert not any(alphabet.letters[name].nodes for one in sets for name in one.letters)


def test_patterns_choose_letters_and_one_that_fits_none_is_refused(shop: tuple[Alphabet, Structure]) -> None:
    assert set(chosen(shop[0], ["slow-*", "redis-outage"]).letters) >= {"slow-redis", "redis-outage"}
    with pytest.raises(SearchError, match="no fault is called 'nothing'"):
        chosen(shop[0], ["nothing"])


def test_every_pair_becomes_an_experiment_that_chaos_toolkit_and_the_gate_take(
    shop: tuple[Alphabet, Structure],
) -> None:
    alphabet, structure = shop
    pairs = worth_trying(Space(alphabet, structure, size=2, nodes_max=1), 2, {})
    assert len(pairs) > 100

    for pair in pairs:
        told = Described("x", "x", "x", "flametest", "http://127.0.0.1", "/", "api", 4.0, 1)
        experiment = document(alphabet, Trial.of(pair.letters), told)
        values = load_values(json.loads(json.dumps(experiment)))
        check_experiment(experiment, values)
        assert len(foreseen(experiment, values, "flametest")) == 2


def test_a_weaker_dose_reaches_the_action(shop: tuple[Alphabet, Structure]) -> None:
    trial = Trial((Dose("edge-slow-logic", 2),), hold=1)
    told = Described("x", "x", "x", "flametest", "http://127.0.0.1", "/shop", "logic", 2.0)

    experiment = document(shop[0], trial, told)

    [fault] = [one for one in experiment["method"] if one["name"] == "edge-slow-logic"]
    assert fault["provider"]["arguments"]["effect"] == {"delay_ms": 250}
    [hold] = [one for one in experiment["method"] if one["provider"]["func"] == "observe_fault"]
    assert hold["provider"]["arguments"] == {"seconds": 2.0, "until_missed": True}


def test_what_lasts_is_injected_before_what_passes_and_healed_once(shop: tuple[Alphabet, Structure]) -> None:
    trial = Trial.of(["pod-delete-logic", "redis-outage"])
    told = Described("x", "x", "x", "flametest", "http://127.0.0.1", "/shop", "logic", 2.0)

    names = [one["name"] for one in document(shop[0], trial, told)["method"]]

    assert names.index("redis-outage") < names.index("pod-delete-logic") < names.index("heal-the-faults")
    assert names.count("heal-the-faults") == 1


def test_each_fault_has_its_name_in_the_record_unless_another_extension_injects_it(
    shop: tuple[Alphabet, Structure],
) -> None:
    trial = Trial.of(["pod-delete-logic", "redis-outage"])
    told = Described("x", "x", "x", "flametest", "http://127.0.0.1", "/shop", "logic", 2.0)

    arguments = {one["name"]: one["provider"].get("arguments", {}) for one in document(shop[0], trial, told)["method"]}

    assert arguments["redis-outage"]["name"] == "redis-outage"
    assert "name" not in arguments["pod-delete-logic"]  # terminate_pods of chaostoolkit-kubernetes


def test_every_fault_of_the_catalogue_has_a_meaning_but_an_intruder() -> None:
    by_name = {fault.name: fault for fault in FAULTS}

    assert {name for name in by_name if kind_of(f"inject_{name}", {}) is None} == {"intrusion"}
    for name, fault in by_name.items():
        assert is_passing(f"inject_{name}") is not fault.lasts, name


@pytest.mark.parametrize(
    ("replicas", "stated", "pods", "share"),
    [
        (1, {}, [1], 1.0),  # the only one, as `init` lets it
        (2, {}, [1], 0.5),
        (5, {}, [2, 1], 0.5),
        (2, {"pods_share_max": 1.0}, [2, 1], 1.0),
    ],
)
def test_an_experiment_of_the_folder_takes_the_only_pod_and_of_several_no_more_than_it_allows(
    tmp_path: Path, replicas: int, stated: dict[str, float], pods: list[int], share: float
) -> None:
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    logic = tmp_path / "manifests" / "31-logic.yaml"
    logic.write_text(logic.read_text().replace("  replicas: 2\n", f"  replicas: {replicas}\n"))
    experiment = json.loads((ROOT / "experiments" / "pod-delete-logic.json").read_text())
    experiment["controls"][0]["provider"]["arguments"] |= stated
    experiment["method"][1]["provider"]["arguments"]["qty"] = 2
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "pod-delete-logic.json").write_text(json.dumps(experiment))

    alphabet, structure = read_system(tmp_path / "manifests", tmp_path / "experiments")

    letter = alphabet.letters["pod-delete-logic"]
    assert letter.pods_share_max == share
    assert [pods_taken(letter.func, one.arguments) for one in letter.levels] == pods
    assert not Space(alphabet, structure, 1, 0).reason_against(frozenset([letter.name]))


def test_pods_that_are_taken_are_told_by_the_arguments_that_an_action_has() -> None:
    assert pods_taken("inject_pod_deletion", {"label_selector": "app=api", "count": 2}) == 2
    assert pods_taken("terminate_pods", {"qty": 3}) == 3
    assert pods_taken("inject_frozen_process", {}) == 1
    assert pods_taken("inject_cpu_hog", {"count": 2}) == 0
    assert pods_taken("inject_service_removal", {}) == 0
