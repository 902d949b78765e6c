"""What becomes of a run where the network enforces no policies, or where that cannot be told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from flametest.clusters import Access, ClusterError
from flametest.faults.enforcement import Tried
from flametest.kube import KubeClient
from flametest.run import preflight
from flametest.run.experiment import load_experiment
from flametest.run.needs import Plan

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
ACCESS = Access(Path("kubeconfig"), "one", "http://127.0.0.1:30080")


class Steps:
    """Keeps what steps saw."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @contextmanager
    def step(self, title: str) -> Iterator["Steps"]:
        yield self

    def saw(self, text: str) -> None:
        self.seen.append(text)

    def skip(self, reason: str) -> None:
        self.seen.append(reason)

    def say(self, text: str) -> None:
        self.seen.append(text)


def checked(monkeypatch: pytest.MonkeyPatch, tried: Tried, *names: str) -> list[str]:
    """Return what the check tells where the try comes out as ``tried``."""
    monkeypatch.setattr(preflight, "try_enforcement", lambda *_: tried)
    plan, steps = Plan(tuple(load_experiment(EXPERIMENTS / f"{name}.json") for name in names)), Steps()
    client: Any = None
    preflight.check_enforcement(cast("KubeClient", client), ACCESS, plan, steps)
    return steps.seen


def test_an_experiment_that_would_prove_nothing_is_named_before_any_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError, match="this network enforces none, so that partition-logic would prove nothing"):
        checked(monkeypatch, Tried(False, "this network enforces none"), "pod-delete-api", "partition-logic")


def test_what_could_not_be_tried_is_told_and_left_to_the_faults_own_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked(monkeypatch, Tried(None, "it could not be tried"), "partition-logic") == ["it could not be tried"]


def test_nothing_is_tried_where_no_experiment_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked(monkeypatch, Tried(False, "never told"), "pod-delete-api", "control") == []
