"""Every page in a real browser: accessible, fit for a phone, asking nobody else for anything."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from conftest import SmallStudy
from web_studies import HOSTILE, Team, add_ready, fill, make_team, serving

from servicegap.labelling.people import add_person, find_person, note_background, note_consent
from servicegap.labelling.practice import practice_items
from servicegap.labelling.record import flag, save_label
from servicegap.labelling.slots import next_item
from servicegap.records import CATEGORIES
from servicegap.store import Store

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

CHROMIUM = os.environ.get("SERVICEGAP_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
# Chromium's own traffic (updates, safe browsing) would count as the page's.
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
#: The only rules whose answer depends on colours, and so on the scheme.
COLOURS = ["color-contrast", "link-in-text-block"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@dataclass
class Served:
    """A team's study on its server, with labels, disputes, flags and a report."""

    address: str
    team: Team


def label_some(small: SmallStudy, store: Store) -> None:
    study, at = small.open(), time.time() - 3600
    for number, name in enumerate(("annotator", "second")):
        note_background(store, name, f"background {number}")
        person = find_person(store, name)
        assert person is not None
        for turn in range(24):
            item = next_item(study, store, person, at=at + turn)
            assert item is not None
            category = CATEGORIES[(turn + number * (turn % 3 == 0)) % 6]
            save_label(
                study,
                store,
                person,
                item.response,
                "whole",
                category=category,
                active_seconds=8,
                at=at + turn,
            )
            if turn == 5:
                flag(
                    store, person, item.response, f"What of this? {HOSTILE[0]} {HOSTILE[2]}".replace("\0", "")
                )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    small = SmallStudy(tmp_path_factory.mktemp("served") / "small")
    store = small.open().store()
    fill(small, store, texts=["Something <b>plain</b>.", "unbroken" * 200, HOSTILE[2].replace("\0", "")])
    team = make_team(small, store)
    add_ready(store, "second", "annotator")
    tokens = {**team.tokens, "fresh": str(add_person(store, "fresh", "annotator"))}
    tokens["learner"] = str(add_person(store, "learner", "annotator"))
    note_consent(store, "learner")
    label_some(small, store)
    report = small.open().report_path
    report.parent.mkdir()
    report.write_text(
        '<!DOCTYPE html><html lang="en"><title>Report</title><main><h1>Report</h1></main></html>'
    )
    with serving(team.app) as address:
        yield Served(address, Team(store, tokens, team.app))
    store.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield found
        found.close()


def practised(served: Served) -> str:
    item = practice_items(served.team.app.state.site.codebook)[0]
    return f"/practice?answered={item.id}&chosen=failure"


PAGES = [
    (None, "/"),
    ("fresh", "/"),
    ("fresh", "/enter"),
    ("learner", "/practice"),
    ("learner", "feedback"),
    ("annotator", "/"),
    ("annotator", "/label"),
    ("annotator", "/guidelines"),
    ("annotator", "/guidelines/path"),
    ("annotator", "/guidelines/path/harmful_refusal"),
    ("annotator", "/lead"),
    ("adjudicator", "/adjudicate"),
    ("lead", "/lead"),
    ("lead", "/results"),
]


@pytest.fixture
def opened(
    browser: Any, served: Served, request: pytest.FixtureRequest
) -> Iterator[tuple[Any, list[str], str]]:
    """A page with everything unfolded, and a record of what it asked for and complained of."""
    who, path = request.param
    # Colours that are still changing, as they do when a fold opens, have no contrast to measure.
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    if who and path != "/enter":
        cookie = {"name": "servicegap", "value": served.team.tokens[who], "url": served.address}
        context.add_cookies([cookie])
    if path == "/enter":
        path = f"/enter/{served.team.tokens[who]}"
    page = context.new_page()
    record: list[str] = []
    page.on("request", lambda asked: record.append(f"request {asked.url}"))
    page.on("console", lambda message: record.append(f"console {message.text}"))
    page.on("pageerror", lambda error: record.append(f"error {error}"))
    page.on("dialog", lambda dialog: record.append(f"dialog {dialog.message}"))
    page.goto(served.address + (practised(served) if path == "feedback" else path))
    if path.startswith("/enter/"):
        page.wait_for_url(f"{served.address}/")
        assert served.team.tokens[who] not in page.evaluate("document.referrer")
        assert page.evaluate("history.length") <= 2
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    yield page, record, served.address
    context.close()


def violations(page: Any, rules: Any) -> list[tuple[str, list[str]]]:
    found = axe.Axe().run(page, options={"runOnly": rules, "resultTypes": ["violations"]})
    return [
        (rule["id"], [node["html"][:150] for node in rule["nodes"]]) for rule in found.response["violations"]
    ]


@pytest.mark.parametrize("opened", PAGES, indirect=True, ids=str)
def test_every_page_is_accessible_fits_a_phone_and_asks_nobody_else(
    opened: tuple[Any, list[str], str],
) -> None:
    page, record, address = opened
    assert violations(page, WCAG) == []
    page.emulate_media(color_scheme="dark")
    assert violations(page, {"type": "rule", "values": COLOURS}) == []
    for width in (1280, 390, 320):
        page.set_viewport_size({"width": width, "height": 844})
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{wide} at {width}"
    said = [line for line in record if not line.startswith(f"request {address}/")]
    # What Chromium itself writes about a page of status 401, 403 or 404.
    assert [line for line in said if "Failed to load resource" not in line] == []


@pytest.mark.parametrize("opened", [("annotator", "/nowhere")], indirect=True)
def test_what_is_not_accessible_is_found(opened: tuple[Any, list[str], str]) -> None:
    page, *_ = opened
    page.evaluate("document.querySelector('h1').insertAdjacentHTML('afterend', '<img><p id=grey>pale</p>')")
    page.evaluate(
        "document.getElementById('grey').style.color = 'color-mix(in srgb, canvas 80%, canvastext)'"
    )
    assert {rule for rule, _ in violations(page, WCAG)} == {"image-alt", "color-contrast"}
    page.emulate_media(color_scheme="dark")
    assert {rule for rule, _ in violations(page, {"type": "rule", "values": COLOURS})} == {"color-contrast"}


@pytest.mark.parametrize("opened", [("learner", "/practice")], indirect=True)
def test_practice_by_number_keys(opened: tuple[Any, list[str], str]) -> None:
    page, *_ = opened
    page.locator("body").press("h")
    assert not page.locator("details.response .said").is_visible()
    page.locator("body").press("H")
    assert page.locator("details.response .said").is_visible()
    page.locator("body").press("4")
    assert page.locator("input:checked").get_attribute("value") == "refusal"
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.locator(".notice").count() == 1
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.locator("input[name=item]").count() == 1


def test_the_decision_path_and_consent_work_without_a_script(browser: Any, served: Served) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.address}/enter/{served.team.tokens['fresh']}")
    page.wait_for_url(f"{served.address}/")
    page.check("input[name=agreed]")
    page.fill("input[name=background]", "from the coast")
    page.click("text=Agree and go on")
    assert page.locator("text=Start practising").is_visible()
    page.goto(f"{served.address}/guidelines/path")
    steps = ["No", "Yes", "No", "Yes"]
    for step in steps:
        page.click(f"a.button:text-is('{step}')")
    assert "Harmful refusal" in page.locator("h1").inner_text()
    page.goto(f"{served.address}/practice")
    page.check("input[value=answer]")
    page.click("text=See what the codebook says")
    assert page.locator(".notice").is_visible()
    context.close()


@pytest.mark.parametrize("opened", [("annotator", "/guidelines")], indirect=True)
def test_the_guidelines_print_whole_and_plain(opened: tuple[Any, list[str], str]) -> None:
    page, *_ = opened
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("header nav").is_visible()
    assert page.locator(".case").count() >= 24
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


@pytest.mark.parametrize("opened", [("annotator", "/guidelines")], indirect=True)
def test_focus_is_seen_and_headings_go_in_steps(opened: tuple[Any, list[str], str]) -> None:
    page, *_ = opened
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    box = page.locator(".skip").bounding_box()
    assert box["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    levels = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4')].map(each => Number(each.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_the_report_is_shown_in_a_frame_that_runs_nothing(browser: Any, served: Served) -> None:
    path = Path(served.team.app.state.site.study.report_path)
    kept = path.read_text()
    path.write_text(
        kept.replace("<h1>", "<script>document.title = parent.document.title = 'owned'</script><h1>")
    )
    context = browser.new_context()
    context.add_cookies([{"name": "servicegap", "value": served.team.tokens["lead"], "url": served.address}])
    page = context.new_page()
    page.goto(f"{served.address}/results")
    assert page.frame_locator("iframe").locator("h1").inner_text() == "Report"
    assert page.title().startswith("Results")
    page.goto(f"{served.address}/results/report")
    assert page.title() == "Report"
    context.close()
    path.write_text(kept)
