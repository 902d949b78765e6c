"""Logs are read until their pods are gone, each line once, whatever the connection does."""

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.kube.errors import ApiRejectedError
from flametest.kube.watch import Change
from flametest.model.events import ChangeKind, Stamp
from flametest.tracing import following
from flametest.tracing.following import Following, read_stamped
from flametest.tracing.following import _Container as Container
from flametest.tracing.following import _Reader as Reader
from flametest.tracing.following import _State as State
from flametest.tracing.keeper import RawLine
from tests.patience import PATIENCE_SECONDS

BEGIN = datetime(2026, 11, 29, 10, 0, 0, tzinfo=UTC)
Piece = bytes | Exception
RUNNING = State(is_running=True, restarts=0, is_leaving=False)


def stamped(number: int, at_ms: int | None = None) -> bytes:
    """Return line ``number`` of a log, written so many milliseconds after `BEGIN`."""
    moment = BEGIN.timestamp() + (number if at_ms is None else at_ms) / 1000
    stamp = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    return f"{stamp} line {number}\n".encode()


FIRST, SECOND, THIRD = map(stamped, (1, 2, 3))


class Response:
    """A log that is streamed: pieces, then its end or an error."""

    def __init__(self, pieces: list[Piece]) -> None:
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
    """Answers each pod's questions for its log one after the other; with the last answer again and again."""

    def __init__(self, answers: dict[str, list[list[Piece]]]) -> None:
        self.api = self
        self.answers = answers
        self.asked: list[dict[str, str]] = []
        self.changed: Callable[[Change], None] = lambda _: None

    def watch(self, *arguments: Any) -> "Cluster":
        self.changed = arguments[2]
        return self

    def start(self) -> None:
        for pod in self.answers:
            self.tell(pod)

    def tell(self, pod: str, kind: ChangeKind = ChangeKind.LISTED, restarts: int = 0, **metadata: str) -> None:
        status = {"containerStatuses": [{"name": "main", "state": {"running": {}}, "restartCount": restarts}]}
        known = {"uid": f"uid-{pod}", "name": pod} | metadata
        self.changed(Change(Stamp(0, 0.0), kind, {"metadata": known, "status": status}))

    def stream(self, path: str, query: dict[str, str], _: float) -> Response:
        self.asked.append(query)
        answers = self.answers[path.split("/")[-2]]
        pieces = answers.pop(0) if len(answers) > 1 else answers[0]
        if len(pieces) == 1 and isinstance(pieces[0], ApiRejectedError):
            raise pieces[0]
        return Response(pieces)

    def text(self, path: str, query: dict[str, str]) -> str:
        return b"".join(self.stream(path, query, 0).stream()).decode()

    def asked_with(self, name: str) -> list[str]:
        return [one[name] for one in self.asked if name in one]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "PAUSE_SECONDS_MIN", 0.001)
    monkeypatch.setattr(following, "READS_PER_SECOND_MAX", 10_000)


def follow(cluster: Cluster) -> tuple[Following, "queue.Queue[RawLine]"]:
    lines: queue.Queue[RawLine] = queue.Queue()
    found = Following(cluster, "shop", lines.put)  # type: ignore[arg-type]
    found.start()
    return found, lines


def texts(lines: "queue.Queue[RawLine]", count: int) -> list[str]:
    return [lines.get(timeout=60).text for _ in range(count)]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_each_line_comes_once_though_it_is_answered_again_or_cut_off() -> None:
    cluster = Cluster({"api-1": [[FIRST + SECOND[:10]], [OSError("reset")], [FIRST + SECOND], [SECOND + THIRD]]})
    found, lines = follow(cluster)
    assert texts(lines, 3) == ["line 1", "line 2", "line 3"]
    until(lambda: len(cluster.asked) > 6)
    cluster.tell("api-1", ChangeKind.DELETED)
    assert found.followed == 1
    assert lines.empty()
    assert not cluster.asked_with("follow")
    assert cluster.asked[0]["container"] == "main"
    assert cluster.asked_with("sinceTime")[0] == "2026-11-29T10:00:00Z"


def test_a_pod_that_is_being_deleted_is_followed() -> None:
    cluster = Cluster({"api-1": [[FIRST]]})
    _, lines = follow(cluster)
    assert texts(lines, 1) == ["line 1"]
    cluster.tell("api-1", ChangeKind.MODIFIED, deletionTimestamp="2026-11-29T10:00:30Z")
    until(lambda: bool(cluster.asked_with("follow")))
    cluster.answers["api-1"] = [[SECOND, THIRD[:8], THIRD[8:]]]
    assert texts(lines, 2) == ["line 2", "line 3"]
    cluster.tell("api-1", ChangeKind.DELETED)


def test_a_container_that_is_restarted_is_asked_for_its_former_log() -> None:
    cluster = Cluster({"api-1": [[FIRST]]})
    _, lines = follow(cluster)
    assert texts(lines, 1) == ["line 1"]
    cluster.tell("api-1", ChangeKind.MODIFIED, restarts=1)
    until(lambda: bool(cluster.asked_with("previous")))
    cluster.tell("api-1", ChangeKind.DELETED)


def reader_of(cluster: Any) -> Reader:
    return Reader(cluster, "/pods/api-1", Container("uid", "api-1", "main"), 0)


def test_the_rest_of_the_log_before_a_restart_is_read_once() -> None:
    cluster = Cluster({"api-1": [[FIRST], [FIRST + SECOND], [THIRD]]})
    reader = reader_of(cluster)
    assert [line.text for line in reader.new_lines(RUNNING)] == ["line 1"]
    restarted = replace(RUNNING, restarts=1)
    assert [line.text for line in reader.new_lines(restarted)] == ["line 2", "line 3"]
    assert list(reader.new_lines(restarted)) == []
    assert cluster.asked_with("previous") == ["true"]


def test_a_former_log_that_is_gone_holds_nothing_up() -> None:
    gone = ApiRejectedError("previous terminated container not found", code=400, reason="BadRequest")
    cluster = Cluster({"api-1": [[gone], [THIRD]]})
    assert [line.text for line in reader_of(cluster).new_lines(replace(RUNNING, restarts=1))] == ["line 3"]


def test_a_container_that_has_ended_is_asked_for_its_rest_and_no_more() -> None:
    cluster = Cluster({"api-1": [[FIRST]]})
    reader = reader_of(cluster)
    ended = replace(RUNNING, is_running=False)
    assert [line.text for line in reader.new_lines(ended)] == ["line 1"]
    assert list(reader.new_lines(ended)) == []
    assert len(cluster.asked) == 1
    cluster.answers["api-1"] = [[SECOND]]
    assert [line.text for line in reader.new_lines(RUNNING)] == ["line 2"]


def test_where_more_lines_came_than_one_answer_holds_all_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_TAIL_LINES_MAX", 2)
    cluster = Cluster({"api-1": [[SECOND + THIRD], [FIRST + SECOND + THIRD], [THIRD]]})
    _, lines = follow(cluster)
    assert texts(lines, 3) == ["line 1", "line 2", "line 3"]
    cluster.tell("api-1", ChangeKind.DELETED)
    assert "tailLines" not in cluster.asked[1]


@given(st.lists(st.tuples(st.integers(0, 700), st.booleans()), max_size=40))
def test_each_line_of_a_growing_log_is_read_once_and_in_order(steps: list[tuple[int, bool]]) -> None:
    """Each step writes a line so many milliseconds after the last one, many at the same moment, and may read."""
    log: list[tuple[int, bytes]] = []
    reader = reader_of(Growing(log))
    read, at_ms = [], 0
    for number, (later_ms, is_read) in enumerate(steps):
        at_ms += later_ms if later_ms > 100 else 0
        log.append((at_ms, stamped(number, at_ms)))
        if is_read:
            read += [line.text for line in reader.new_lines(RUNNING)]
    read += [line.text for line in reader.new_lines(RUNNING)]
    assert read == [f"line {number}" for number in range(len(steps))]


class Growing:
    """Answers with the lines of a log since the second that is asked for, as a kubelet does."""

    def __init__(self, log: list[tuple[int, bytes]]) -> None:
        self.api = self
        self._log = log

    def text(self, _: str, query: dict[str, str]) -> str:
        since = datetime.fromisoformat(query.get("sinceTime", "2026-01-01T00:00:00Z")).timestamp()
        return b"".join(line for at_ms, line in self._log if BEGIN.timestamp() + at_ms / 1000 >= since).decode()


def test_a_pod_that_comes_later_is_followed_too() -> None:
    cluster = Cluster({"api-1": [[FIRST]]})
    found, lines = follow(cluster)
    cluster.answers["api-2"] = [[SECOND]]
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


def test_the_more_logs_there_are_the_more_rarely_each_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    found = Following(Cluster({}), "shop", lambda _: None)  # type: ignore[arg-type]
    pauses = []
    for found.followed in (0, 11, 80, following.CONTAINERS_MAX):
        pauses.append(found.pause_seconds)
    assert pauses == [1.0, 1.0, 2.0, following.PAUSE_SECONDS_MAX]
