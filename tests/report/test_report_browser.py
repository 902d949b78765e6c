"""The page in a real browser, headless and from disk."""

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.report.sample_result import failed_result, inconclusive_result, passed_result

from flametest.model.result import Result
from flametest.report import render_html

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,900",
)

# Stands in for a reader who points at the middle of the charts.
POINTING = """
const stack = document.querySelector(".stack"), box = stack.querySelector("svg").getBoundingClientRect();
stack.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + box.width / 2, clientY: box.top + 20}));
"""


def opened(html: str, folder: Path) -> str:
    """Return the page's document after the browser has laid it out."""
    page = folder / "report.html"
    page.write_text(html, encoding="utf-8")
    assert CHROMIUM is not None
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize(
    "result", [passed_result(), failed_result(), inconclusive_result()], ids=lambda one: one.verdict
)
def test_the_browser_shows_the_verdict(result: Result, tmp_path: Path) -> None:
    document = opened(render_html(result), tmp_path)
    assert f'<span class="word">{result.verdict.upper()}</span>' in document
    assert document.count("<h1") == 1


def test_pointing_at_a_chart_reads_out_its_values(tmp_path: Path) -> None:
    html = render_html(failed_result()).replace("script-src 'sha256-", "script-src 'unsafe-inline' 'unused-")
    document = opened(html.replace("</body>", f"<script>{POINTING}</script></body>"), tmp_path)
    readout = document[document.index('class="readout"') :][:300]
    assert "offered/s" in readout
    assert "p99, ms" in readout
