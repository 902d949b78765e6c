"""Failed and slow requests on the page: each cause with one path, bounded, and nothing that a log line could break."""

import dataclasses
import re

import pytest

from flametest.model.paths import FailurePaths, Trouble
from flametest.model.result import Result
from flametest.report import render_html
from tests.report.sample_parts import failure_paths
from tests.report.sample_result import passed_result


def page_of(*paths: FailurePaths | None) -> str:
    """Return the page of a run whose scenarios have these failures."""
    (first, *_) = passed_result().scenarios
    scenarios = tuple(dataclasses.replace(first, name=f"one-{at}", paths=one) for at, one in enumerate(paths))
    result: Result = dataclasses.replace(passed_result(), scenarios=scenarios)
    return render_html(result)


def test_a_run_without_a_failed_request_has_no_such_section() -> None:
    assert 'id="paths"' not in page_of(None)


def test_each_cause_opens_its_hops_and_names_the_one_that_failed_first() -> None:
    text = page_of(failure_paths(2))
    assert text.count('<details class="path">') == 2
    assert "GET /shop/api/events (load): failed, status 503: <b>postgres failed first</b>" in text
    assert "412 requests ended so; 37 of the 40 that were followed ended here" in text
    assert "while postgres-outage lasted" in text
    for pod in ("nginx-5d7c9b8f6-x2x0", "frontend-5d7c9b8f6-x2x1", "logic-5d7c9b8f6-x2x2"):
        assert pod in text
    assert f'href="https://jaeger.example/trace/{0:032x}"' in text


def test_at_most_ten_causes_are_shown_and_no_scenario_hides_another() -> None:
    text = page_of(failure_paths(12), failure_paths(1), failure_paths(12))
    assert text.count('<details class="path">') == 10
    assert {re.search(r'limit">(one-\d)<', part)[1] for part in text.split('class="path"')[1:]} == {  # type: ignore[index]
        *("one-0", "one-1", "one-2"),
    }
    assert "15 more causes are not shown" in text


def test_what_is_missing_is_said() -> None:
    text = page_of(failure_paths(1, note="Their logs may not be read: the right to get pods/log is missing."))
    assert "one-0: Their logs may not be read: the right to get pods/log is missing." in text


def test_a_log_line_does_not_become_markup_and_a_link_stays_an_address() -> None:
    paths = failure_paths(1)
    (cause,) = paths.causes
    (hop, *_) = cause.path.hops
    evil = dataclasses.replace(hop.lines[0], text="</td><script>alert(1)</script>")
    hop = dataclasses.replace(hop, lines=(evil,), pod='"><img src=x>')
    path = dataclasses.replace(cause.path, hops=(hop,))
    cause = dataclasses.replace(cause, path=path, trouble=Trouble.UNKNOWN)
    text = page_of(dataclasses.replace(paths, causes=(cause,), link="javascript:alert('{trace_id}')"))
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "javascript:" not in text


@pytest.mark.parametrize("scenarios", [1, 5, 18])
def test_the_page_stays_within_its_size_with_the_longest_lines(scenarios: int) -> None:
    paths = failure_paths(12)
    causes = tuple(
        dataclasses.replace(
            cause,
            path=dataclasses.replace(
                cause.path,
                hops=tuple(
                    dataclasses.replace(
                        hop, lines=tuple(dataclasses.replace(line, text="ä" * 1200) for line in hop.lines * 2)
                    )
                    for hop in cause.path.hops * 4
                ),
            ),
        )
        for cause in paths.causes
    )
    text = page_of(*([dataclasses.replace(paths, causes=causes)] * scenarios))
    assert len(text.encode()) <= 300_000
