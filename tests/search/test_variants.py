"""Planted weaknesses are what they are said to be: patches fit, and the planted set is one that a search combines."""

from pathlib import Path

import pytest

from flametest.search.alphabet import alphabet_of, chosen, read_folder, written_paths
from flametest.search.candidates import Space
from flametest.search.terrain import structure_of
from flametest.starter import make_plan, make_topology, user_paths
from flametest.starter import read_folder as read_manifests
from tests.search.variants import VARIANTS, Variant, write_variant


def space_of(root: Path, variant: Variant) -> Space:
    topology = make_topology(read_manifests(root / "manifests", ""))
    written = read_folder(root / "experiments")
    paths = (variant.path,) if variant.path else (*written_paths(written), *user_paths(topology))
    structure = structure_of(topology, paths)
    alphabet = alphabet_of(topology, make_plan(topology, "http://127.0.0.1", paths), written, structure, 1)
    return Space(chosen(alphabet, variant.faults), structure, variant.size, nodes_max=1)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda one: one.name)
def test_what_is_planted_is_a_set_that_a_search_combines(tmp_path: Path, variant: Variant) -> None:
    write_variant(variant, tmp_path)

    space = space_of(tmp_path, variant)

    assert variant.breaks <= space.alphabet.letters.keys()
    assert len(variant.breaks) <= variant.size
    assert len(space.alphabet.letters) > len(variant.breaks) or variant.size == 3
    if variant.breaks:
        assert space.reason_against(variant.breaks) == ""


def test_there_are_enough_of_each_kind() -> None:
    sizes = [len(one.breaks) for one in VARIANTS]

    assert {size: sizes.count(size) for size in (0, 1, 2, 3)} == {0: 6, 1: 8, 2: 8, 3: 2}
    assert len({one.name for one in VARIANTS}) == len(VARIANTS)
