"""What a watch tells of changes, breaks and ends."""

import queue
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError
from flametest.kube.resources import PODS
from flametest.kube.watch import Change, Interruption, Watch, split_lines
from flametest.model.events import ChangeKind, Stamp
from tests.patience import PATIENCE_SECONDS


def pod(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}}


def listed(version: int, *pods: object) -> Callable[..., None]:
    return lambda exchange: exchange.answer({"metadata": {"resourceVersion": str(version)}, "items": pods})


class Told:
    """What a watch told, to wait for."""

    def __init__(self) -> None:
        self.changes: queue.Queue[Change] = queue.Queue()
        self.interruptions: queue.Queue[Interruption] = queue.Queue()

    def next(self) -> tuple[ChangeKind, str]:
        change = self.changes.get(timeout=PATIENCE_SECONDS)
        return change.kind, change.object["metadata"]["name"]


def started(client: KubeClient, told: Told) -> Watch:
    watch = client.watch(PODS, "flametest", told.changes.put, told.interruptions.put)
    watch.start()
    return watch


def test_what_exists_is_told_before_start_returns(scripted_api: Any, scripted_client: KubeClient) -> None:
    scripted_api.handlers = [listed(7, pod("a", 3), pod("b", 5))]
    told = Told()
    watch = started(scripted_client, told)
    assert [told.changes.get_nowait().kind for _ in range(2)] == [ChangeKind.LISTED] * 2
    watch.stop()


def test_changes_come_in_order_with_the_moment_of_their_receipt(scripted_api: Any, scripted_client: KubeClient) -> None:
    def stream(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_event("ADDED", pod("b", 8))
        exchange.send_event("MODIFIED", pod("a", 9))
        exchange.send_event("BOOKMARK", {"metadata": {"resourceVersion": "20"}})
        exchange.send_event("DELETED", pod("b", 21))
        scripted_api.ended.wait(30)

    scripted_api.handlers = [listed(7, pod("a", 3)), stream]
    told, before_ns = Told(), time.monotonic_ns()
    watch = started(scripted_client, told)
    assert [told.next() for _ in range(4)] == [
        (ChangeKind.LISTED, "a"),
        (ChangeKind.ADDED, "b"),
        (ChangeKind.MODIFIED, "a"),
        (ChangeKind.DELETED, "b"),
    ]
    watch.stop()
    assert "resourceVersion=7" in scripted_api.asked[1]
    assert before_ns < time.monotonic_ns()


def test_a_broken_connection_is_resumed_from_the_last_version(scripted_api: Any, scripted_client: KubeClient) -> None:
    def breaks(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_event("ADDED", pod("b", 8))
        exchange.close_connection = True  # without the last chunk: cut off

    def goes_on(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_event("ADDED", pod("c", 9))
        scripted_api.ended.wait(30)

    scripted_api.handlers = [listed(7), breaks, goes_on]
    told = Told()
    watch = started(scripted_client, told)
    assert [told.next() for _ in range(2)] == [(ChangeKind.ADDED, "b"), (ChangeKind.ADDED, "c")]
    assert "connection broke" in told.interruptions.get(timeout=PATIENCE_SECONDS).reason
    assert "resourceVersion=8" in scripted_api.asked[2]
    watch.stop()


def test_a_stream_that_ends_in_good_order_is_no_interruption(scripted_api: Any, scripted_client: KubeClient) -> None:
    def ends(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_event("ADDED", pod("b", 8))
        exchange.send_chunk(b"")

    def goes_on(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_event("MODIFIED", pod("b", 9))
        scripted_api.ended.wait(30)

    scripted_api.handlers = [listed(7), ends, goes_on]
    told = Told()
    watch = started(scripted_client, told)
    assert [told.next() for _ in range(2)] == [(ChangeKind.ADDED, "b"), (ChangeKind.MODIFIED, "b")]
    watch.stop()
    assert told.interruptions.empty()


@pytest.mark.parametrize("in_stream", [True, False])
def test_a_version_that_is_too_old_leads_to_a_new_list_with_what_went_meanwhile(
    scripted_api: Any, scripted_client: KubeClient, in_stream: bool
) -> None:
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 7 (30)"}

    def expired(exchange: Any) -> None:
        if in_stream:
            exchange.begin_stream()
            exchange.send_event("ERROR", gone)
            exchange.send_chunk(b"")
        else:
            exchange.answer(gone, status=410)

    scripted_api.handlers = [listed(7, pod("a", 3), pod("b", 4)), expired, listed(40, pod("b", 33))]
    told = Told()
    watch = started(scripted_client, told)
    assert [told.next() for _ in range(4)][2:] == [(ChangeKind.DELETED, "a"), (ChangeKind.LISTED, "b")]
    assert "too old" in told.interruptions.get(timeout=PATIENCE_SECONDS).reason
    watch.stop()
    assert "resourceVersion=40" in scripted_api.asked[3]


def test_a_watch_that_waits_for_the_next_change_stops_at_once_and_leaves_no_thread(
    scripted_api: Any, scripted_client: KubeClient
) -> None:
    streaming = threading.Event()

    def silent(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_event("ADDED", pod("a", 8))
        streaming.set()
        scripted_api.ended.wait(30)

    scripted_api.handlers = [listed(7), silent]
    told = Told()
    watch = started(scripted_client, told)
    told.next()
    begin = time.monotonic()
    watch.stop()
    assert time.monotonic() - begin < 1
    assert not [thread for thread in threading.enumerate() if thread.name == "watch-pods"]
    watch.stop()


def test_a_list_that_is_refused_is_an_error_and_nothing_runs(scripted_api: Any, scripted_client: KubeClient) -> None:
    refusal = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "pods is forbidden"}
    scripted_api.handlers = [lambda exchange: exchange.answer(refusal, status=403)]
    watch = scripted_client.watch(PODS, "flametest", print, print)
    with pytest.raises(ApiRejectedError, match="pods is forbidden") as raised:
        watch.start()
    assert raised.value.code == 403
    assert "right" in raised.value.remedy
    watch.stop()


def test_what_cannot_be_read_does_not_end_the_watch_unseen(scripted_api: Any, scripted_client: KubeClient) -> None:
    def speaks_nonsense(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(b'{"type": "ADDED"}\n')

    def goes_on(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_event("ADDED", pod("a", 8))
        scripted_api.ended.wait(30)

    scripted_api.handlers = [listed(7), speaks_nonsense, goes_on]
    told = Told()
    watch = started(scripted_client, told)
    assert told.next() == (ChangeKind.ADDED, "a")
    assert "broke" in told.interruptions.get(timeout=PATIENCE_SECONDS).reason
    watch.stop()


@pytest.fixture
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what is silent for more than a second be noticed, and what lags for a tenth."""
    monkeypatch.setattr("flametest.kube.watch.WINDOW_SECONDS", 1)
    monkeypatch.setattr("flametest.kube.watch.LATE_SECONDS_MAX", 0.1)
    monkeypatch.setattr("flametest.kube.watch.LAG_SECONDS_MAX", 0.1)


@pytest.mark.usefixtures("short_windows")
def test_a_watch_that_falls_silent_is_told_with_what_it_missed_and_resumed_without_a_gap(
    scripted_api: Any, scripted_client: KubeClient
) -> None:
    """Nothing breaks: the stream is there, and neither changes nor its end come."""

    def freezes(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_event("ADDED", pod("b", 8))
        scripted_api.ended.wait(30)

    def goes_on(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_event("MODIFIED", pod("b", 9))
        exchange.send_event("ADDED", pod("c", 10))
        scripted_api.ended.wait(30)

    now = listed(10, pod("a", 3), pod("b", 9), pod("c", 10))
    scripted_api.handlers = [listed(7, pod("a", 3)), freezes, now, goes_on]
    told, before_ns = Told(), time.monotonic_ns()
    watch = started(scripted_client, told)
    assert [told.next() for _ in range(4)][1:] == [
        (ChangeKind.ADDED, "b"),
        (ChangeKind.MODIFIED, "b"),
        (ChangeKind.ADDED, "c"),
    ]
    silence = told.interruptions.get(timeout=PATIENCE_SECONDS)
    watch.stop()
    assert "fell silent" in silence.reason
    assert (silence.objects, silence.missed) == (3, 2)
    assert before_ns < silence.silent_since_ns < time.monotonic_ns() - 1_000_000_000
    assert "resourceVersion=8" in scripted_api.asked[3]


def test_a_watch_asks_for_windows_with_bookmarks_so_that_each_begins_where_the_last_one_ended(
    scripted_api: Any, scripted_client: KubeClient
) -> None:
    def window(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_event("BOOKMARK", {"metadata": {"resourceVersion": "20"}})
        exchange.send_chunk(b"")

    def next_window(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_event("ADDED", pod("b", 21))
        scripted_api.ended.wait(30)

    scripted_api.handlers = [listed(7), window, next_window]
    told = Told()
    watch = started(scripted_client, told)
    assert told.next() == (ChangeKind.ADDED, "b")
    watch.stop()
    assert all(text in scripted_api.asked[1] for text in ("timeoutSeconds=10", "allowWatchBookmarks=true"))
    assert "resourceVersion=20" in scripted_api.asked[2]
    assert told.interruptions.empty()


@pytest.mark.usefixtures("short_windows")
@pytest.mark.parametrize(
    ("items", "unseen"),
    [
        ((pod("a", 3), pod("b", 8)), ()),
        ((pod("a", 2), pod("b", 8)), ()),  # a list that is older than what the watch has shown
        ((pod("a", 9), pod("b", 8)), ("a",)),
        ((pod("a", 3),), ("b",)),
        ((pod("a", 3), pod("b", 8), pod("c", 9)), ("c",)),
        ((pod("b", 9), pod("c", 10)), ("a", "b", "c")),
    ],
)
def test_what_a_list_shows_and_the_watch_does_not_is_found(
    scripted_api: Any, scripted_client: KubeClient, items: tuple[object, ...], unseen: tuple[str, ...]
) -> None:
    def shows(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_event("ADDED", pod("b", 8))
        exchange.send_event("ADDED", pod("gone", 8))
        exchange.send_event("DELETED", pod("gone", 8))
        scripted_api.ended.wait(30)

    told = Told()
    scripted_api.handlers = [listed(7, pod("a", 3)), shows]
    watch = started(scripted_client, told)
    for _ in range(4):
        told.next()
    scripted_api.handlers = [listed(10, *items)]
    found = watch.compare()
    watch.stop()
    assert (found.objects, tuple(sorted(found.unseen))) == (len(items), unseen)
    assert 0 < found.heard_ns < found.at.monotonic_ns


def test_a_change_that_the_watch_shows_soon_after_the_list_is_no_difference(
    scripted_api: Any, scripted_client: KubeClient
) -> None:
    has_listed = threading.Event()

    def shows_later(exchange: Any) -> None:
        exchange.begin_stream()
        has_listed.wait(PATIENCE_SECONDS)
        exchange.send_event("MODIFIED", pod("a", 9))
        exchange.send_event("DELETED", pod("b", 10))
        scripted_api.ended.wait(30)

    def list_again(exchange: Any) -> None:
        listed(10, pod("a", 9))(exchange)
        has_listed.set()

    told = Told()
    scripted_api.handlers = [listed(7, pod("a", 3), pod("b", 4)), shows_later]
    watch = started(scripted_client, told)
    for _ in range(2):
        told.next()
    assert scripted_api.wait_asked(2, PATIENCE_SECONDS)  # the stream is asked for in the watch's thread
    scripted_api.handlers = [list_again]
    assert watch.compare().unseen == ()
    watch.stop()


@given(st.lists(st.text(alphabet='ab{}"ü', min_size=1), max_size=8), st.data())
def test_lines_do_not_depend_on_how_the_stream_was_cut(lines: list[str], data: st.DataObject) -> None:
    stream = "".join(f"{line}\n" for line in lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    edges = [0, *cuts, len(stream)]
    chunks = [stream[start:end] for start, end in pairwise(edges)]
    ticks = iter(range(100))
    found = list(split_lines(iter(chunks), lambda: Stamp(next(ticks), 0.0)))
    assert [line.decode() for line, _ in found] == lines
    ends_at = {index: len(b"".join(chunks[: index + 1])) for index in range(len(chunks))}
    for number, (_, at) in enumerate(found):
        line_end = sum(len(f"{line}\n".encode()) for line in lines[: number + 1])
        assert ends_at[at.monotonic_ns] >= line_end
        assert at.monotonic_ns == 0 or ends_at[at.monotonic_ns - 1] < line_end


def test_a_line_that_was_cut_off_is_left_out() -> None:
    assert [line for line, _ in split_lines(iter([b"whole\ncut"]), lambda: Stamp(0, 0.0))] == [b"whole"]
