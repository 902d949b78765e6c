"""Logs are followed until their pods are gone, each line once, whatever the connection does."""

import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flametest.kube.errors import ApiRejectedError
from flametest.kube.watch import Change
from flametest.model.events import ChangeKind, Stamp
from flametest.tracing import following
from flametest.tracing.following import Following, read_stamped
from flametest.tracing.keeper import RawLine

FIRST, SECOND, THIRD = (f"2026-11-29T10:00:00.00{number}000000Z line {number}\n".encode() for number in (1, 2, 3))


class Response:
    """A log that is streamed: pieces, then its end or an error."""

    def __init__(self, pieces: list[bytes | Exception]) -> None:
        self._pieces = pieces

    def __enter__(self) -> "Response":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def stream(self, **_: object) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


class Cluster:
    """Answers one stream after the other for each pod; the last one again and again."""

    def __init__(self, streams: dict[str, list[list[bytes | Exception]]]) -> None:
        self.api = self
        self.streams = streams
        self.asked: list[dict[str, str]] = []
        self.changed: Callable[[Change], None] = lambda _: None

    def watch(self, *arguments: Any) -> "Cluster":
        self.changed = arguments[2]
        return self

    def start(self) -> None:
        for pod in self.streams:
            self.tell(pod)

    def tell(self, pod: str, kind: ChangeKind = ChangeKind.LISTED, state: str = "running") -> None:
        status = {"containerStatuses": [{"name": "main", "state": {state: {}}}]}
        self.changed(Change(Stamp(0, 0.0), kind, {"metadata": {"uid": f"uid-{pod}", "name": pod}, "status": status}))

    def stream(self, path: str, query: dict[str, str], _: float) -> Response:
        pod = path.split("/")[-2]
        self.asked.append(query)
        streams = self.streams[pod]
        pieces = streams.pop(0) if len(streams) > 1 else streams[0]
        if len(pieces) == 1 and isinstance(pieces[0], ApiRejectedError):
            raise pieces[0]
        return Response(pieces)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_AGAIN_SECONDS", 0.001)


def follow(cluster: Cluster) -> tuple[Following, "queue.Queue[RawLine]"]:
    lines: queue.Queue[RawLine] = queue.Queue()
    found = Following(cluster, "shop", lines.put)  # type: ignore[arg-type]
    found.start()
    return found, lines


def texts(lines: "queue.Queue[RawLine]", count: int) -> list[str]:
    return [lines.get(timeout=60).text for _ in range(count)]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_each_line_comes_once_though_the_connection_breaks() -> None:
    cluster = Cluster({"api-1": [[FIRST + SECOND[:10], OSError("reset")], [FIRST + SECOND, THIRD]]})
    found, lines = follow(cluster)
    assert texts(lines, 3) == ["line 1", "line 2", "line 3"]
    cluster.tell("api-1", ChangeKind.DELETED)
    assert found.followed == 1
    assert lines.empty()
    assert {(one["follow"], one["container"]) for one in cluster.asked} == {("true", "main")}


def test_a_pod_that_comes_later_is_followed_too() -> None:
    cluster = Cluster({"api-1": [[FIRST]]})
    found, lines = follow(cluster)
    cluster.streams["api-2"] = [[SECOND]]
    cluster.tell("api-2", ChangeKind.ADDED)
    assert sorted(texts(lines, 2)) == ["line 1", "line 2"]
    assert found.followed == 2
    for pod in ("api-1", "api-2"):
        cluster.tell(pod, ChangeKind.DELETED)


def test_a_log_that_may_not_be_read_is_counted_and_left_alone() -> None:
    cluster = Cluster({"api-1": [[ApiRejectedError("no", code=403, reason="Forbidden")]]})
    found, _ = follow(cluster)
    until(lambda: found.forbidden == 1)
    assert len(cluster.asked) == 1


def test_a_container_that_is_not_there_yet_is_asked_for_again() -> None:
    waiting = ApiRejectedError("waiting to start", code=400, reason="BadRequest")
    cluster = Cluster({"api-1": [[waiting], [FIRST]]})
    _, lines = follow(cluster)
    assert texts(lines, 1) == ["line 1"]
    cluster.tell("api-1", ChangeKind.DELETED)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("2026-11-29T10:00:00.123456789Z text of it", (1795946400_123456789, "text of it")),
        ("2026-11-29T10:00:00Z text", (1795946400_000000000, "text")),
        ("2026-11-29T11:00:00.5+01:00 text", (1795946400_500000000, "text")),
        ("no stamp at all", None),
        ("", None),
    ],
)
def test_the_moment_before_a_line_is_read_to_the_nanosecond(line: str, found: tuple[int, str] | None) -> None:
    assert read_stamped(line) == found
