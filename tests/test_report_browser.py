"""The report in a real browser: no overflow, no requests, no errors, nothing that runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up_results import hostile_examples, made_up_results, made_up_toxicity

from servicegap.report import write_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = os.environ.get("SERVICEGAP_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
# Chromium's own traffic (updates, safe browsing) would count as the page's.
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "report" / "index.html"
    title = "<img src=x onerror=alert(1)> " + "a-title-without-a-place-to-break-" * 4
    models = ("local:tiny", "openai:" + "a_name_without_a_place_to_break_" * 3)
    results = made_up_results(models, title=title, toxicity=[made_up_toxicity(models)])
    results["labels"]["judges"] = [
        {"annotator": "judge:openai:a", "version": "v1", "instructions": "<script>x</script>" + "word " * 500}
    ]
    write_report(results, hostile_examples(), path)
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield found
        found.close()


@pytest.fixture
def opened(browser: Any, report: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Any, list[str]]]:
    """The page at some width with all details open, and a record of what it asked for and complained of."""
    width, scheme = getattr(request, "param", (1280, "light"))
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    record: list[str] = []
    page.on("request", lambda asked: record.append(f"request {asked.url}"))
    page.on("console", lambda message: record.append(f"console {message.text}"))
    page.on("pageerror", lambda error: record.append(f"error {error}"))
    page.on("dialog", lambda dialog: record.append(f"dialog {dialog.message}"))
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    yield page, record
    context.close()


@pytest.mark.parametrize("opened", [(1280, "light"), (360, "dark"), (320, "light")], indirect=True)
def test_no_sideways_scrolling(opened: tuple[Any, list[str]]) -> None:
    page, _ = opened
    wide, shown = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert wide == shown
    outside = page.evaluate(
        """[...document.querySelectorAll('body *')]
            .filter(each => !each.closest('.scroll table'))
            .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
            .map(each => each.tagName + ' ' + each.textContent.slice(0, 40))"""
    )
    assert outside == []


def test_asks_for_nothing_and_complains_of_nothing(opened: tuple[Any, list[str]], report: Path) -> None:
    page, record = opened
    page.evaluate("document.fonts.ready")
    assert record == [f"request {report.as_uri()}"]


def test_hostile_text_is_harmless(opened: tuple[Any, list[str]]) -> None:
    page, record = opened
    assert page.title().startswith("<img src=x onerror=alert(1)>")
    assert page.evaluate("document.querySelectorAll('script, img, iframe, object, form').length") == 0
    assert page.evaluate("getComputedStyle(document.body).display") == "block"
    assert not [entry for entry in record if not entry.startswith("request file:")]
    shown = page.locator("section", has=page.locator("#examples")).inner_text()
    for text in ("<script>document.title", "onerror=", "<style>body { display: none }", "U+202E"):
        assert text in shown


@pytest.mark.parametrize("opened", [(1280, "light"), (360, "light")], indirect=True)
def test_every_figure_shows_one_drawing_with_a_text_alternative(opened: tuple[Any, list[str]]) -> None:
    page, _ = opened
    figures = page.locator("figure.plot")
    assert figures.count() > 8
    for number in range(figures.count()):
        seen = [svg for svg in figures.nth(number).locator("svg").all() if svg.is_visible()]
        assert len(seen) == 1
        assert seen[0].get_attribute("role") == "img"
        names = (seen[0].get_attribute("aria-labelledby") or "").split()
        texts = [page.evaluate("id => document.getElementById(id).textContent", name) for name in names]
        assert len(texts) == 2
        assert all(texts)


@pytest.mark.parametrize("opened", [(360, "light")], indirect=True)
def test_plot_text_is_legible_on_a_phone(opened: tuple[Any, list[str]]) -> None:
    page, _ = opened
    heights = page.evaluate(
        """[...document.querySelectorAll('figure.plot svg text')]
            .map(text => text.getBoundingClientRect().height).filter(height => height > 0)"""
    )
    assert heights
    assert min(heights) >= 10


@pytest.mark.parametrize("opened", [(1280, "light"), (1280, "dark")], indirect=True)
def test_plots_follow_the_colour_scheme(opened: tuple[Any, list[str]]) -> None:
    page, _ = opened
    colour = page.evaluate("getComputedStyle(document.querySelector('.plot .page text')).fill")
    ink = page.evaluate("getComputedStyle(document.querySelector('h1')).color")
    muted = page.evaluate("getComputedStyle(document.querySelector('.kicker')).color")
    assert colour in (ink, muted)


def test_scroll_regions_can_be_reached_and_are_named(opened: tuple[Any, list[str]]) -> None:
    page, _ = opened
    regions = page.locator(".scroll").all()
    assert regions
    assert all(region.get_attribute("tabindex") == "0" for region in regions)
    assert all(region.get_attribute("aria-label") for region in regions)


def test_prints_without_examples_or_cut_plots(opened: tuple[Any, list[str]], tmp_path: Path) -> None:
    page, _ = opened
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("article.example").first.is_visible()
    assert page.locator("text=Example responses are left out in print").is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('figure.plot')).breakInside") == "avoid"
    printed = page.pdf(prefer_css_page_size=True)
    assert printed.startswith(b"%PDF")
