"""A block injects the faults of an experiment and no more, and each quad begins with a tree that is drawn."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from flametest.check.plan import block_experiment, quad_order
from flametest.model.check import Side
from flametest.run.experiment import ExperimentError

TURN = "http://127.0.0.1:1/0"
EXPERIMENTS = sorted((Path(__file__).parents[2] / "experiments").glob("*.json"))


def functions(document: dict[str, Any]) -> list[str]:
    return [activity["provider"]["func"] for activity in document["method"] if "func" in activity["provider"]]


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_every_shipped_experiment_makes_a_block(file: Path) -> None:
    document = json.loads(file.read_text())
    block = block_experiment(document, 5.0, TURN)
    ensure_experiment_is_valid(block)
    waits = {"observe_baseline", "observe_fault", "await_recovery"}
    assert [one for one in functions(block) if one not in waits] == [
        one for one in functions(document) if one not in waits
    ]
    assert functions(block).count("observe_fault") == max(1, functions(document).count("observe_fault"))
    assert block["method"][0]["provider"] == {"type": "http", "url": TURN, "timeout": 120.0}
    assert "await_recovery" not in functions(block)
    assert "steady-state-hypothesis" not in block
    assert block.get("rollbacks") == document.get("rollbacks")


def test_the_original_stays_as_it_is() -> None:
    text = EXPERIMENTS[0].read_text()
    document = json.loads(text)
    block_experiment(document, 5.0, TURN)
    assert document == json.loads(text)


def test_an_experiment_without_a_method_is_refused() -> None:
    with pytest.raises(ExperimentError, match="empty method"):
        block_experiment({"title": "none", "method": []}, 5.0, TURN)


def test_quads_are_abba_or_baab_as_the_seed_draws_them() -> None:
    orders = [quad_order(quad, seed=7) for quad in range(200)]
    for first, second, third, fourth in orders:
        assert first is fourth
        assert second is third
        assert first is not second
    begins = Counter(order[0] for order in orders)
    assert min(begins.values()) > 60  # 200 fair coins: one in a hundred million
    assert orders == [quad_order(quad, seed=7) for quad in range(200)]
    assert set(begins) == set(Side)
