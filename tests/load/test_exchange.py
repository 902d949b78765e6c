"""The reading of HTTP answers, and the entry to ask at."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.load.errors import LoadError
from flametest.load.exchange import Answer, Entry, MalformedAnswerError, read_answer


def read(data: bytes) -> Answer:
    """Return the answer that ``data``, followed by the connection's end, makes."""

    async def feed() -> Answer:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await read_answer(reader)

    return asyncio.run(feed())


@given(body=st.binary(max_size=300), sizes=st.lists(st.integers(1, 50), min_size=1, max_size=5))
def test_a_body_is_read_alike_whichever_way_it_is_delimited(body: bytes, sizes: list[int]) -> None:
    head = b"HTTP/1.1 200 OK\r\nX-Served-By: pod-1\r\n"
    chunks, rest = b"", body
    for size in [*sizes, len(body)]:
        piece, rest = rest[:size], rest[size:]
        chunks += b"%x;name=value\r\n%s\r\n" % (len(piece), piece) if piece else b""
    assert read(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)) == Answer(200, "pod-1", True, body)
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nTrailer: 1\r\n\r\n"
    assert read(chunked) == Answer(200, "pod-1", True, body)
    assert read(head + b"\r\n" + body) == Answer(200, "pod-1", False, body)


@given(cut=st.integers(0, 70))
def test_an_answer_that_breaks_off_is_none(cut: int) -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\nServer: test\r\n\r\n" + b"x" * 20
    with pytest.raises(asyncio.IncompleteReadError):
        read(whole[: min(cut, len(whole) - 1)])


@given(data=st.binary(max_size=200))
def test_whatever_comes_back_the_reading_ends_with_an_answer_or_a_known_error(data: bytes) -> None:
    for prefix in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        with contextlib.suppress(MalformedAnswerError, asyncio.IncompleteReadError):
            assert 100 <= read(prefix + data).status <= 999


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Away\r\n", True),
    ],
)
def test_the_server_decides_whether_a_connection_is_kept(head: bytes, keeps: bool) -> None:
    assert read(head + b"Content-Length: 0\r\n\r\n").keeps is keeps


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_not_http_or_has_no_end_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        read(data)


def test_an_entry_is_read_from_its_url() -> None:
    assert Entry.from_url("http://127.0.0.1:30080") == Entry("127.0.0.1", 30080, "/")
    assert Entry.from_url("http://entry/visits?page=1") == Entry("entry", 80, "/visits?page=1")
    assert b"Host: [::1]:80\r\n" in Entry.from_url("http://[::1]/").request("close")


@pytest.mark.parametrize("url", ["127.0.0.1:80", "", "http://", "http://a:x/", "http://a/\r\nX: 1"])
def test_a_url_that_cannot_be_probed_is_named(url: str) -> None:
    with pytest.raises(LoadError, match="entry"):
        Entry.from_url(url)
