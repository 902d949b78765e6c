"""A watched run in a real browser: what its reader opened stays open when the page is loaded again."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flametest.run.analyse import analyse
from flametest.run.folder import RunFolder
from flametest.run.live import LiveReport, serving
from flametest.run.project import Project
from tests.run.laboratory_run import SCENARIO, laboratory_run

playwright_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")]


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of a headless Chromium."""
    with playwright_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-quic"])
        yield chromium.new_page()
        chromium.close()


def test_what_was_opened_stays_open_when_the_page_refreshes_and_when_the_run_ends(page: Any, tmp_path: Path) -> None:
    run: RunFolder = laboratory_run(tmp_path / "run")
    run.restrict((SCENARIO, "pod-delete-nginx"))
    with serving(LiveReport(run.path, Project(tmp_path)), 0) as address:
        page.goto(address)
        page.get_by_text("Latency", exact=True).click()
        y = page.evaluate("scrollY")
        assert y > 0
        with page.expect_navigation(timeout=60_000):
            pass  # the server told the browser to come back
        assert page.locator("h1 .word").inner_text() == "RUNNING"
        assert page.locator("details[open] summary").all_inner_texts() == ["Latency"]
        assert page.evaluate("scrollY") == y
        run.restrict((SCENARIO,))
        analyse(run, Project(tmp_path))
        page.reload()
        assert page.locator("h1 .word").inner_text() == "PASSED"
        assert page.locator("details[open] summary").all_inner_texts() == ["Latency"]
