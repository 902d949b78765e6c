"""The page: the verdict first, every figure shown, no request, no markup from names, one small file."""

import dataclasses
import html
import itertools
import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.model.result import Result, Series, Step
from flametest.model.verdict import Verdict
from flametest.report import render_html
from flametest.report.slim import slim
from tests.report.sample_result import (
    failed_result,
    full_result,
    hostile_result,
    inconclusive_result,
    long_result,
    passed_result,
    scenario,
    suite_result,
)

RESULTS = {
    "passed": passed_result(),
    "failed": failed_result(),
    "full": full_result(),
    "inconclusive": inconclusive_result(),
    "empty": dataclasses.replace(passed_result(), scenarios=(), verdict=Verdict.INCONCLUSIVE, previous={}),
}
VOID = {"meta", "link", "path", "rect", "circle", "line", "use", "img", "br"}


class Page(HTMLParser):
    """Every element with its attributes, and the text without styles and scripts, in the page's order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip() and not {"style", "script", "head"} & set(self._open):
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(self.texts)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(params=RESULTS)
def result(request: pytest.FixtureRequest) -> Result:
    return RESULTS[request.param]


@pytest.mark.parametrize("name", ["passed", "failed", "inconclusive"])
def test_the_verdict_and_its_sentence_come_before_everything_else(name: str) -> None:
    page = Page(render_html(RESULTS[name]))
    main = page.text[page.text.index("took") :]
    headline = RESULTS[name].headline
    assert 0 < main.index(name.upper()) < main.index(headline[1:]) < main.index("User-visible outage")


def test_every_criterion_check_and_finding_is_shown(result: Result) -> None:
    text = Page(render_html(result)).text
    for one in result.scenarios:
        assert one.sentence in text
        for criterion in one.criteria:
            assert criterion.title in text
            assert criterion.reason in text
        for check in one.checks:
            assert check.title in text
            assert check.detail in text
        for finding in one.findings:
            assert finding.advice in text


def test_the_appendix_tells_how_to_run_it_again(result: Result) -> None:
    text = Page(render_html(result)).text
    for expected in (result.command, str(result.seed), result.manifests_digest, result.cluster_note):
        assert expected in text
    assert all(f"{one.component} {one.version}" in text for one in result.versions)


def test_no_outage_is_said_in_words_and_never_as_zero() -> None:
    text = Page(render_html(passed_result())).text
    assert "No user-visible outage" in text
    assert "not measured no limit this run kept no ledger" in text


def test_a_steady_state_that_was_not_reached_is_shown_as_longer_than_the_watch() -> None:
    assert "> 30.04 s" in Page(render_html(inconclusive_result())).text


def test_an_outage_that_had_not_ended_is_shown_as_longer_than_what_was_seen() -> None:
    one = scenario(outage_seconds=12.4)
    assert one.outage is not None
    endless = dataclasses.replace(one, outage=dataclasses.replace(one.outage, recovered=False))
    text = Page(render_html(dataclasses.replace(passed_result(), scenarios=(endless,)))).text
    assert "> 12.33 s failed" in text
    assert "not over when the watch ended" in text


def test_a_recovery_that_was_not_seen_lies_beyond_the_watch() -> None:
    one = scenario()
    stages = tuple(dataclasses.replace(each, seconds=None) if each.name == "ready" else each for each in one.stages)
    criteria = tuple(
        dataclasses.replace(each, value=None, verdict=Verdict.FAILED) if each.name == "recovery_seconds" else each
        for each in one.criteria
    )
    lost = dataclasses.replace(one, stages=stages, criteria=criteria, verdict=Verdict.FAILED)
    text = Page(render_html(dataclasses.replace(passed_result(), scenarios=(lost,)))).text
    assert "failed: > 60 s" in text


def test_nothing_injected_is_not_measured_even_when_the_prober_saw_no_outage() -> None:
    one = scenario()
    criteria = tuple(dataclasses.replace(each, value=None, verdict=Verdict.INCONCLUSIVE) for each in one.criteria)
    idle = dataclasses.replace(one, criteria=criteria, verdict=Verdict.INCONCLUSIVE, stages=(), steady=None)
    text = Page(render_html(dataclasses.replace(passed_result(), scenarios=(idle,)))).text
    assert "inconclusive: not measured" in text
    assert "inconclusive: no user-visible outage" not in text


def test_a_change_from_the_last_run_says_whether_it_is_better() -> None:
    text = Page(render_html(failed_result())).text.replace("\N{NO-BREAK SPACE}", " ")
    assert "1.50 s less than in the last run (better)" in text
    assert "no last run to compare with" in text


def test_the_cards_show_the_worst_scenario() -> None:
    mild, bad = scenario("mild", outage_seconds=0.3), scenario("bad", outage_seconds=0.9)
    html = render_html(dataclasses.replace(passed_result(), scenarios=(mild, bad)))
    cards = html[html.index('class="cards"') : html.index("On this page")]
    assert "0.90" in cards
    assert "0.30" not in cards


def test_the_page_makes_no_request(result: Result) -> None:
    html = render_html(result)
    page = Page(html)
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            target = attributes.get(name, "")
            assert not re.match(r"[a-z]+:(?!,$)|//", target), target
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    policy = next(one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_hostile_names_do_not_become_markup() -> None:
    html = render_html(hostile_result())
    page = Page(html)
    html.encode()
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert not any("evil" in attributes.get("href", "") for _, attributes in page.elements)
    assert "\x00" not in html
    assert {tag for tag, _ in page.elements} == {tag for tag, _ in Page(render_html(failed_result())).elements}


def test_the_same_result_gives_the_same_bytes(result: Result) -> None:
    assert render_html(result) == render_html(result)


@pytest.mark.parametrize(
    ("scenarios", "bins", "bytes_max"), [(1, 4_000, 300_000), (2, 320, 300_000), (4, 480, 300_000), (12, 120, 300_000)]
)
def test_the_page_stays_small_and_quick_to_render(scenarios: int, bins: int, bytes_max: int) -> None:
    long = long_result(scenarios, bins)
    render_html(failed_result())
    began = time.process_time()
    html = render_html(long)
    assert time.process_time() - began < 1.0
    assert len(html.encode()) <= bytes_max


def test_a_single_bin_and_steps_without_change_can_be_drawn() -> None:
    one = (1.0,)
    steps = (Step(0.0, 0),)
    series = Series(0.0, 1.0, (0.0,), (0.0,), (0.0,), (None,), (None,), one, steps, steps, (), ())
    drawn = dataclasses.replace(scenario(), series=series, marks=(), phases=(), latency_limit_ms=None)
    html = render_html(dataclasses.replace(passed_result(), scenarios=(drawn,)))
    assert "seconds from injection" in html
    assert "nan" not in html.lower().replace("nano", "")


def test_every_drawing_has_a_title_and_a_description_that_it_names(result: Result) -> None:
    html = render_html(result)
    drawings = re.findall(r"<svg[^>]*role=\"img\".*?</svg>", html, re.DOTALL)
    charts = 16 * sum(one.series is not None for one in result.scenarios)
    dots = 2 * sum(one.trials is not None for one in result.scenarios)
    hops = sum(len(one.paths.causes) for one in result.scenarios if one.paths is not None)
    assert len(drawings) == charts + dots + hops
    for drawing in drawings:
        named = re.search(r'aria-labelledby="(\S+) (\S+)"', drawing)
        assert named is not None
        for identifier, tag in zip(named.groups(), ("title", "desc"), strict=True):
            assert re.search(rf'<{tag} id="{identifier}">[^<]+</{tag}>', drawing)
    others = [one for one in Page(html).all("svg") if one.get("role") != "img"]
    assert all(one.get("aria-hidden") == "true" for one in others)


def test_identifiers_are_unique_and_every_local_link_has_its_target(result: Result) -> None:
    page = Page(render_html(result))
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for _, attributes in page.elements:
        named = [one for key in ("aria-labelledby", "aria-describedby") for one in attributes.get(key, "").split()]
        target = attributes.get("href", "")
        assert set(named) | ({target[1:]} if target.startswith("#") else set()) <= set(identifiers)


def test_the_page_has_a_language_landmarks_and_headings_in_order(result: Result) -> None:
    page = Page(render_html(result))
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("main")) == len(page.all("h1")) == len(page.all("header")) - len(result.scenarios) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in itertools.pairwise(levels))


def test_every_heading_of_a_table_says_what_it_heads(result: Result) -> None:
    assert {one.get("scope") for one in Page(render_html(result)).all("th")} <= {"col", "row"}


def test_a_journal_is_linked_only_when_its_path_stays_in_the_folder() -> None:
    for path, is_linked in (("a/journal.json", True), ("../x", False), ("javascript:x", False), ("/etc", False)):
        one = dataclasses.replace(scenario(), journal=path)
        html = render_html(dataclasses.replace(passed_result(), scenarios=(one,)))
        assert (f'href="{path}"' in html) is is_linked
        assert path in html


def test_a_suite_of_eighteen_scenarios_keeps_every_part_within_300_kilobytes() -> None:
    suite = suite_result()
    began = time.process_time()
    text = render_html(suite)
    assert time.process_time() - began < 1.0
    assert len(text.encode()) <= 300_000
    page = Page(text)
    assert len(re.findall(r"<svg[^>]*role=img", text)) == 2 * 18
    charts = {attributes["data-chart"] for _, attributes in page.elements if "data-chart" in attributes}
    assert charts == {"rates", "cloud", "steps", "pods", "waterfall"}
    for one in suite.scenarios:
        assert one.sentence in page.text
        assert one.title in page.text
        for check in one.checks:
            assert check.detail in page.text
    keys = {attributes.get("href") for _, attributes in page.elements if attributes.get("href", "").startswith("#key-")}
    assert keys == {f"#key-{name}" for name in ("rates", "latency", "cloud", "steps", "pods", "level", "budget")}


def test_a_compact_page_has_its_identifiers_once_and_a_target_for_every_link() -> None:
    page = Page(render_html(suite_result()))
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for _, attributes in page.elements:
        named = attributes.get("aria-labelledby", "").split()
        target = attributes.get("href", "")
        assert set(named) | ({target[1:]} if target.startswith("#") else set()) <= set(identifiers)


def test_hostile_names_do_not_become_markup_on_a_compact_page() -> None:
    hostile = hostile_result()
    many = dataclasses.replace(hostile, scenarios=hostile.scenarios * 5)
    page = Page(render_html(many))
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


@given(st.text(max_size=60))
def test_a_slim_page_says_what_the_page_said(text: str) -> None:
    cell = f'<td role="cell" data-label="Why"><span>{html.escape(text)}</span></td>'
    whole = f"<head><style>a{{}}</style></head><body><table><tr>{cell}</tr></table><script>1</script></body>"
    assert "".join(Page(slim(whole)).texts).split() == "".join(Page(whole).texts).split()


def test_a_figure_without_an_end_in_sight_is_told_also_where_no_limit_asks_for_it() -> None:
    one = scenario(steady=None)
    criteria = tuple(
        dataclasses.replace(each, value=None, above=27.5, limit=None, verdict=Verdict.PASSED)
        if each.name == "steady_seconds"
        else each
        for each in one.criteria
    )
    endless = dataclasses.replace(one, criteria=criteria)
    assert "> 27.5 s" in Page(render_html(dataclasses.replace(passed_result(), scenarios=(endless,)))).text
