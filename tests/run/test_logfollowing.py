"""What a run says of logs that could not be followed: it goes on, and the record tells why hops are missing."""

from pathlib import Path
from typing import Any

import pytest

from flametest.clusters import Access
from flametest.load import LoadError
from flametest.model.events import LogsFollowed
from flametest.model.history import History
from flametest.run import logfollowing
from flametest.run.logfollowing import followed
from flametest.tracing import FollowerSummary

ACCESS = Access(Path("nowhere"), "none", "http://127.0.0.1:1", "shop")


class Follower:
    """Stands for the process: starts or not, and says of itself what a test wants."""

    told: FollowerSummary | LoadError = FollowerSummary(4, 100, 9, 0, 0, 0, 0)
    refusal: LoadError | None = None

    def __init__(self, *_: Any) -> None:
        pass

    def __enter__(self) -> "Follower":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def start(self) -> None:
        if self.refusal is not None:
            raise self.refusal

    def stop(self) -> FollowerSummary:
        if isinstance(self.told, LoadError):
            raise self.told
        return self.told


@pytest.fixture
def follower(monkeypatch: pytest.MonkeyPatch) -> type[Follower]:
    made = type("Made", (Follower,), {})
    monkeypatch.setattr(logfollowing, "LogFollower", made)
    return made


def noted(folder: Path) -> list[LogsFollowed]:
    path = folder / "history.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return History.from_lines(lines).of(LogsFollowed)


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (FollowerSummary(4, 100, 9, 0, 0, 0, 0), ""),
        (FollowerSummary(4, 0, 0, 0, 4, 0, 0), "Their logs may not be read: the right to get pods/log is missing."),
        (
            FollowerSummary(4, 9, 9, 0, 1, 0, 0),
            "The logs of 1 container may not be read: the right to get pods/log is",
        ),
        (
            FollowerSummary(200, 9, 9, 0, 0, 3, 0),
            "The logs of 3 containers were not followed: there were too many.",
        ),
        (FollowerSummary(0, 0, 0, 0, 0, 0, 1), "The pods' logs were not followed: the pods could not be listed."),
        (LoadError("it died"), "The pods' logs could not be followed to the end: it died."),
    ],
)
def test_what_is_missing_stands_in_the_record(
    follower: type[Follower], tmp_path: Path, told: FollowerSummary | LoadError, problem: str
) -> None:
    follower.told = told
    with followed("one", ACCESS, tmp_path):
        pass
    (event,) = noted(tmp_path)
    assert event.problem.startswith(problem)
    assert bool(event.problem) is bool(problem)


def test_a_follower_that_does_not_start_stops_nothing(follower: type[Follower], tmp_path: Path) -> None:
    follower.refusal = LoadError("no room")
    ran = []
    with followed("one", ACCESS, tmp_path):
        ran.append(True)
    assert ran == [True]
    assert noted(tmp_path)[0].problem == "The pods' logs could not be followed: no room."


def test_an_error_of_the_scenario_comes_through_and_the_record_is_kept(
    follower: type[Follower], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt), followed("one", ACCESS, tmp_path):
        raise KeyboardInterrupt
    assert len(noted(tmp_path)) == 1


def test_without_ids_no_log_is_followed(
    follower: type[Follower], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAMETEST_REQUEST_IDS", "off")
    with followed("one", ACCESS, tmp_path):
        pass
    assert noted(tmp_path) == []


def test_the_address_of_traces_stands_in_the_record(
    follower: type[Follower], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAMETEST_TRACE_LINK", "https://jaeger.example/trace/{trace_id}")
    with followed("one", ACCESS, tmp_path):
        pass
    assert noted(tmp_path)[0].link == "https://jaeger.example/trace/{trace_id}"
