"""Weaknesses that were planted in real systems are found in a quarter of an hour, and sound ones are not accused."""

from pathlib import Path

import pytest

from flametest.run.exitcodes import ExitCode
from tests.addresses import own_address
from tests.search.searching import breaks_again, found_sets, searched
from tests.search.variants import VARIANTS, Variant, write_variant

pytestmark = [pytest.mark.sandbox, pytest.mark.exhaustive]

REPLAYS, BREAKS_MIN = 10, 9


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a state folder of its own."""
    monkeypatch.setenv("FLAMETEST_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("FLAMETEST_NODE_PORT_ADDRESS", own_address("search"))
    monkeypatch.delenv("KUBECONFIG", raising=False)


@pytest.mark.parametrize("variant", [one for one in VARIANTS if one.breaks], ids=lambda one: one.name)
def test_what_is_planted_is_found_and_breaks_the_promise_again(tmp_path: Path, variant: Variant) -> None:
    project = tmp_path / "project"
    write_variant(variant, project)

    code, result = searched(project, "--seed", "1", "--budget", "15m", *variant.options)

    assert code == ExitCode.LIMIT_MISSED, result
    assert variant.breaks in found_sets(result)
    [found] = [one for one in result.found if {dose.letter for dose in one.doses} == variant.breaks]
    assert found.is_minimal
    assert all(one.holds >= 3 for one in found.without)
    again = breaks_again(project, project / "experiments" / f"{found.name}.json", REPLAYS)
    assert sum(again) >= BREAKS_MIN, again


@pytest.mark.parametrize("variant", [one for one in VARIANTS if not one.breaks], ids=lambda one: one.name)
def test_a_sound_system_is_not_accused(tmp_path: Path, variant: Variant) -> None:
    project = tmp_path / "project"
    write_variant(variant, project)

    code, result = searched(project, "--seed", "1", "--budget", "15m", *variant.options)

    assert not found_sets(result)
    assert code in (ExitCode.PASSED, ExitCode.INCONCLUSIVE)
    assert any(one.outcome == "holds" for one in result.trials)
