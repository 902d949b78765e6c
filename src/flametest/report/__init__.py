"""The report: one Result as a page, as JUnit, as Markdown and as OpenMetrics; and that of a search as a page.

Renderers are pure functions of the Result: they read no clock and no file but their templates, so that the same
Result gives the same bytes. They compute no figure: what they add is layout.
"""

from flametest.report.junit import render_junit
from flametest.report.markdown import render_markdown
from flametest.report.openmetrics import render_openmetrics
from flametest.report.page import render_html
from flametest.report.search import render_search

__all__ = ["render_html", "render_junit", "render_markdown", "render_openmetrics", "render_search"]
