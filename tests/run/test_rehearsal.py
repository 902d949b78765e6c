"""A rehearsal that could not be made is told as skipped, and never stands there as done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from flametest.kube.errors import NotReadyError
from flametest.run.progress import RememberingProgress
from flametest.run.run import _rehearse


class Told:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def step(self, title: str) -> Iterator[Any]:
        yield SimpleNamespace(
            saw=lambda text: self.lines.append(f"ok {title}: {text}"),
            skip=lambda reason: self.lines.append(f"skipped {title}: {reason}"),
        )

    def say(self, text: str) -> None:
        self.lines.append(text)


class NeverReady:
    """A cluster whose workloads do not get ready."""

    def wait_ready(self, namespace: str, timeout_seconds: float, saw: Callable[[str], None]) -> None:
        raise NotReadyError(f"not ready after {timeout_seconds:g} s in namespace {namespace!r}: Deployment api 2/3", "")


def test_a_rehearsal_on_a_system_that_is_not_whole_is_skipped_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    progress = RememberingProgress(told)
    access = SimpleNamespace(namespace="shop")
    system = SimpleNamespace(client=NeverReady(), access=access, cluster=None)
    stage: Any = SimpleNamespace(progress=progress, system=system)
    # There is no cluster to ask for the faults of other runs, which come first.
    monkeypatch.setattr("flametest.run.run.refuse_other_runs", lambda *_: None)
    _rehearse(stage, [])
    assert told.lines[-1].startswith("skipped resolve every fault's targets: the system is not whole after 20 s")
    assert progress.skipped == [f"skipped: {told.lines[-1].removeprefix('skipped ')}"]
    assert "Deployment api 2/3" in progress.skipped[0]
