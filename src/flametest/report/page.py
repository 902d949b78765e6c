"""The page: one HTML file that needs no network and no script, from one Result.

The verdict comes first. All texts of the Result are escaped by Jinja; drawings are escaped where they are drawn. The
page's own content policy forbids every request, so that a hostile name could not make one either.
"""

import base64
import functools
import hashlib
import re
from typing import Any

import jinja2

from flametest.model.result import Result
from flametest.report.baseline import baseline_view
from flametest.report.cards import cards
from flametest.report.figures import WORDS
from flametest.report.findings import finding_views
from flametest.report.format import duration, first_sentence, plain, sentence, unparted, utc
from flametest.report.matrix import matrix
from flametest.report.palette import SWATCHES
from flametest.report.paths import paths_view
from flametest.report.scenario import Detail, view
from flametest.report.slim import slim
from flametest.report.svg.compact import compact_definitions
from flametest.report.svg.patterns import definitions
from flametest.report.svg.waterfall import compact_stage_titles
from flametest.report.trust import trust_view
from flametest.report.writes import writes_view

__all__ = ["page_environment", "render_html"]

_SAFE_LINK = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


# A page larger than this is drawn again more coarsely: the first detail that fits is taken, or else the last.
_BYTES_MAX = 300_000
_DETAILS = (
    Detail(points_max=600, columns_max=240, rows_max=160, has_narrow=True, has_bars=True),
    Detail(points_max=320, columns_max=160, rows_max=60, has_narrow=True, has_bars=True),
    Detail(points_max=200, columns_max=120, rows_max=24, has_narrow=True, has_bars=True, path_characters=140),
    Detail(
        points_max=120,
        columns_max=100,
        rows_max=16,
        has_narrow=False,
        has_bars=True,
        path_characters=120,
    ),
    *(
        Detail(
            points_max=points,
            columns_max=columns,
            rows_max=rows,
            has_narrow=False,
            has_bars=False,
            is_compact=True,
            has_descriptions=points >= 30,
            path_lines=2 if points >= 30 else 1,
            path_characters=160 if points >= 30 else 70,
        )
        for points, columns, rows in ((60, 48, 12), (36, 36, 8), (24, 24, 6), (16, 18, 4), (12, 14, 3))
    ),
)
_MANY = 15
_FIRST_COMPACT = next(index for index, detail in enumerate(_DETAILS) if detail.is_compact)


def render_html(result: Result, *, progress: str = "") -> str:
    """Return the report as one HTML page; the same Result gives the same text.

    It takes at most 300 KB however long the run was, since series are thinned to their peaks, and some eighteen
    scenarios; from five on their charts are one small drawing each, and their tables are brief. Each scenario beyond
    adds some 13 KB, which its tables and labels need.

    Args:
        result: what is shown.
        progress: how far a run is that still goes on; the page then says so in place of a verdict. Empty for one
            that has ended.
    """
    page = ""
    # Where to begin saves renderings: a scenario needs some 45 KB at the least where its charts are large.
    first = len(result.scenarios) // 3 if len(result.scenarios) < _MANY else _FIRST_COMPACT + 2
    for detail in _DETAILS[min(first, _FIRST_COMPACT + 2) :]:
        page = _render(result, detail, progress)
        if len(page.encode()) <= _BYTES_MAX:
            break
    return page


def _render(result: Result, detail: Detail, progress: str = "") -> str:
    environment = page_environment()
    script = environment.get_template("script.js.jinja").render()
    views = [view(result, index, detail) for index in range(len(result.scenarios))]
    page = environment.get_template("page.html.jinja").render(
        result=result,
        progress=progress,
        words=WORDS,
        cards=cards(result),
        matrix=matrix(result),
        writes=writes_view(result),
        paths=paths_view(result, detail),
        views=views,
        baseline=baseline_view(result),
        findings=finding_views(views),
        trust=trust_view(result),
        patterns=definitions(),
        compact=compact_definitions() + compact_stage_titles(result.scenarios) if detail.is_compact else "",
        is_compact=detail.is_compact,
        swatches=SWATCHES,
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return slim(page) if detail.is_compact else page


@functools.cache
def page_environment() -> jinja2.Environment:
    """Return what renders the templates of this room."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("flametest.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_showable,
    )
    environment.filters |= {
        "duration": duration,
        "first_sentence": first_sentence,
        "sentence": sentence,
        "unparted": unparted,
        "utc": utc,
    }
    environment.tests["safe_link"] = _is_safe_link
    return environment


def _showable(value: Any) -> Any:
    """Replace what cannot be shown in the texts of the Result; markup of the templates passes as it is."""
    return plain(value) if type(value) is str else value


def _is_safe_link(path: str) -> bool:
    """Return whether a path of the Result can be a link: relative, below the page's folder, without a scheme."""
    return _SAFE_LINK.fullmatch(path) is not None
