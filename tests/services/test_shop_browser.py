"""The shop's pages in a real browser: by keyboard, on a phone's width, without scripts, in light and dark."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

playwright_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
# Where to keep pictures of the pages, for people to look at; a folder of the test's own by default.
PICTURES = os.environ.get("FLAMETEST_PICTURES")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.usefixtures("shop_database"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    with playwright_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-quic"])
        yield chromium
        chromium.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The folder for pictures."""
    folder = Path(PICTURES) if PICTURES else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(params=[(PHONE, "light"), (PHONE, "dark"), (DESKTOP, "light"), (DESKTOP, "dark")], ids=str)
def page(browser: Any, shared_frontend: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A new visitor's page, without scripts, on a phone and on a desktop, in light and in dark."""
    size, scheme = request.param
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{shared_frontend.port}",
        viewport=size,
        color_scheme=scheme,
        java_script_enabled=False,
    )
    context.set_default_timeout(10_000)
    yield context.new_page()
    context.close()


def picture(page: Any, pictures: Path, name: str) -> None:
    """Keep a picture of the whole page, and check that nothing sticks out of it."""
    width = page.viewport_size["width"]
    scheme = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.screenshot(path=pictures / f"{name}-{width}-{scheme}.png", full_page=True)


def test_a_ticket_is_bought_by_mouse_or_finger_and_found_among_my_orders(page: Any, pictures: Path) -> None:
    page.goto("/shop")
    picture(page, pictures, "events")
    page.get_by_role("article", name="Quartet by Candlelight").get_by_label("Tickets").fill("2")
    page.get_by_role("button", name="Buy tickets for Quartet by Candlelight").click()
    page.get_by_role("heading", name="Thank you, your order is confirmed").wait_for()
    assert "€56.00" in page.inner_text("main")
    picture(page, pictures, "order")
    page.get_by_role("link", name="My orders").click()
    assert "2 tickets" in page.inner_text("main")
    picture(page, pictures, "orders")


def test_what_can_be_touched_is_large_enough_and_readable(page: Any) -> None:
    page.goto("/shop")
    for button in page.get_by_role("button").all():
        assert button.bounding_box()["height"] >= 44
    for field in page.get_by_label("Tickets").all():
        assert field.bounding_box()["height"] >= 44
    for selector in ("body", ".cards p", "button", "nav a", "h1"):
        assert contrast(page, selector) >= 4.5


def test_a_ticket_is_bought_by_keyboard_alone(page: Any) -> None:
    page.goto("/shop")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "quantity"
    page.keyboard.type("3")  # typing over what a Tab into a field has selected
    page.keyboard.press("Tab")
    assert focused(page) == "Buy tickets for Harbour Festival"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Thank you, your order is confirmed").wait_for()
    assert "€135.00" in page.inner_text("main")


def test_when_logic_is_away_the_page_says_so_and_the_order_goes_through_afterwards(
    page: Any, pictures: Path, postgres_server: Any
) -> None:
    page.goto("/shop")
    postgres_server.stop()
    try:
        page.get_by_role("button", name="Buy tickets for Harbour Festival").click()
        page.get_by_role("heading", name="Your order is not confirmed yet").wait_for()
        picture(page, pictures, "unconfirmed")
        away = page.context.new_page()
        assert away.goto("/shop/orders").status == 503
        picture(away, pictures, "away")
    finally:
        postgres_server.start()
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("heading", name="Thank you, your order is confirmed").wait_for()


def focused(page: Any) -> str:
    """Return the text of what has the keyboard's focus."""
    text = page.evaluate("document.activeElement.textContent")
    return " ".join(str(text).split())


def contrast(page: Any, selector: str) -> float:
    """Return the contrast of an element's text with what is behind it, as WCAG 2.2 defines it."""
    colours = page.evaluate(
        """selector => {
            const element = document.querySelector(selector);
            let behind = element;
            while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
            return [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor];
        }""",
        selector,
    )
    light, dark = sorted((luminance(colour) for colour in colours), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour such as ``rgb(255, 0, 0)``."""
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").rstrip(")").split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
