"""The ids of requests: W3C Trace Context and X-Request-ID, one id in both."""

import re

import pytest

from flametest.model.requestids import RequestIds, is_link_template, trace_id_of


def test_both_headers_carry_the_id_that_the_sample_keeps() -> None:
    ids = RequestIds()
    trace_id = ids.draw()
    headers = ids.headers(trace_id)
    assert re.fullmatch(r"[0-9a-f]{32}", trace_id)
    assert headers["X-Request-ID"] == trace_id_of(headers["traceparent"]) == trace_id
    assert re.fullmatch(rf"00-{trace_id}-[0-9a-f]{{16}}-00", headers["traceparent"])


def test_each_request_has_ids_of_its_own() -> None:
    ids = RequestIds()
    drawn = [ids.headers(ids.draw())["traceparent"] for _ in range(1000)]
    assert len({one.split("-")[1] for one in drawn}) == len({one.split("-")[2] for one in drawn}) == 1000


def test_a_trace_is_asked_for_only_where_traces_are_linked() -> None:
    linked = RequestIds.of({"FLAMETEST_TRACE_LINK": "https://jaeger.example/trace/{trace_id}"})
    assert linked.headers(linked.draw())["traceparent"].endswith("-01")
    assert RequestIds.of({}).is_sampled is False


def test_requests_carry_nothing_where_ids_are_off() -> None:
    ids = RequestIds.of({"FLAMETEST_REQUEST_IDS": "off"})
    assert ids.draw() == ""
    assert ids.headers("") == {}


@pytest.mark.parametrize(
    ("traceparent", "trace_id"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "0af7651916cd43dd8448eb211c80319c"),
        (" 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00 ", "0af7651916cd43dd8448eb211c80319c"),
        ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later", "0af7651916cd43dd8448eb211c80319c"),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", ""),
        ("00-0af7651916cd43dd-b7ad6b7169203331-01", ""),
        ("", ""),
    ],
)
def test_a_traceparent_tells_its_id_or_nothing(traceparent: str, trace_id: str) -> None:
    assert trace_id_of(traceparent) == trace_id


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("https://jaeger.example/trace/{trace_id}", True),
        ("http://127.0.0.1:16686/trace/{trace_id}?uiEmbed=v0", True),
        ("https://jaeger.example/trace/", False),
        ("javascript:alert('{trace_id}')", False),
        ("https://jaeger.example/{trace_id} x", False),
    ],
)
def test_a_link_is_an_address_with_a_place_for_the_id(text: str, is_one: bool) -> None:
    assert is_link_template(text) is is_one
