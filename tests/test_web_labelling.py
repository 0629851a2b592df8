"""People label and adjudicate in a real browser: by keys typed ahead, by hand, without scripts."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Answer, SmallStudy
from web_studies import HOST, serving

from servicegap.labelling.people import add_person
from servicegap.labels import people_labels
from servicegap.store import Store
from servicegap.tables import ADJUDICATIONS, ANNOTATIONS, FLAGS
from servicegap.web.app import create_app

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = os.environ.get("SERVICEGAP_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")

HOSTILE = (
    "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\"> \u202egnihton "
    "\u2066\u200b {{ 7 * 7 }} </div></details></form>"
)


@dataclass
class Served:
    """A study on its server, and the database behind it."""

    address: str
    store: Store
    links: dict[str, str]

    def annotations(self, annotator: str) -> list[Any]:
        with self.store.reading() as connection:
            query = (
                sa.select(ANNOTATIONS).where(ANNOTATIONS.c.annotator == annotator).order_by(ANNOTATIONS.c.id)
            )
            return list(connection.execute(query).mappings())

    def live(self, annotator: str) -> list[Any]:
        rows = self.annotations(annotator)
        superseded = {row["supersedes"] for row in rows}
        return [row for row in rows if row["id"] not in superseded and row["category"]]

    def count(self, table: sa.Table) -> int:
        with self.store.reading() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


@pytest.fixture
def served(small: SmallStudy, request: pytest.FixtureRequest) -> Iterator[Served]:
    options = getattr(request, "param", {})
    text = options.get("text", "She bought a basket of apples.")
    plan = "".join(f"  {line}\n" for line in options.get("plan", ["practice: false"]))
    small.change("study.yaml", "annotators: []\n", f"annotators: []\nlabelling:\n{plan}")
    store = small.open().store()
    few = options.get("few", False)
    small.answer(
        store,
        lambda _call, _signal, template: None if few and template.id != "n1" else Answer(None, text=text),
    )
    links = {}
    for name, role in (("ada", "annotator"), ("bo", "annotator"), ("judy", "adjudicator"), ("lena", "lead")):
        token = add_person(store, name, role)  # type: ignore[arg-type]
        links[name] = f"/enter/{token}"
    with serving(create_app(small.open(), store, hosts=(HOST,), tokens=True)) as address:
        yield Served(address, store, links)
    store.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=CHROMIUM, args=["--headless", "--no-sandbox"])
        yield found
        found.close()


def enter(browser: Any, served: Served, name: str, **options: Any) -> Any:
    """Open the pages as somebody who has agreed to take part; anything that looks wrong is recorded."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.trouble = []
    page.on("pageerror", lambda error: page.trouble.append(f"error {error}"))
    page.on("dialog", lambda dialog: page.trouble.append(f"dialog {dialog.message}"))
    page.on(
        "request",
        lambda asked: None if asked.url.startswith(served.address) else page.trouble.append(asked.url),
    )
    page.goto(served.address + served.links[name])
    # The page of the link goes on by itself.
    page.wait_for_url(f"{served.address}/")
    if page.locator("input[name=agreed]").count():
        page.check("input[name=agreed]")
        with page.expect_navigation():
            page.click("button.main")
    page.goto(f"{served.address}/label" if name != "judy" else f"{served.address}/adjudicate")
    return page


def wait_for_labels(served: Served, page: Any, name: str, n: int) -> None:
    for _ in range(200):
        if len(served.live(name)) >= n:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{len(served.live(name))} labels of {name}, not {n}")


def test_sixty_items_by_keys_typed_ahead_lose_nothing(browser: Any, served: Served) -> None:
    page = enter(browser, served, "ada")
    keys = [str(1 + place % 6) for place in range(60)]
    for key in keys:
        # Nothing waits for the server here: most keys are typed while an earlier label is on its way.
        page.keyboard.press(key)
        page.keyboard.press("Enter")
    wait_for_labels(served, page, "ada", 60)
    page.wait_for_timeout(200)
    rows = served.live("ada")
    names = ["answer", "partial_answer", "failure", "refusal", "harmful_refusal", "harmful_answer"]
    assert [row["category"] for row in rows] == [names[int(key) - 1] for key in keys]
    assert len({row["response"] for row in rows}) == 60
    assert all(row["active_seconds"] is not None for row in rows)
    assert page.trouble == []


def test_undo_skip_and_flag_by_keys(browser: Any, served: Served) -> None:
    page = enter(browser, served, "ada")
    page.keyboard.type("4\nu3\n")
    # The label, its withdrawal, and the label in its place.
    while len(served.annotations("ada")) < 3:
        page.wait_for_timeout(50)
    first = served.annotations("ada")
    assert first[0]["category"] == "refusal"
    assert served.live("ada")[0]["category"] == "failure"
    assert served.live("ada")[0]["response"] == first[0]["response"]
    page.get_by_role("heading", name="Response 2").wait_for()
    page.keyboard.type("snot my language\n")
    page.get_by_text("Skipped; someone else").wait_for()
    skipped = served.annotations("ada")[-1]
    assert (skipped["category"], skipped["abstain_reason"]) == (None, "not my language")
    page.keyboard.type("5")
    page.keyboard.type("fodd case\n")
    page.get_by_text("Flagged.").wait_for()
    assert served.count(FLAGS) == 1
    # What was picked before the flag is picked still.
    assert page.locator("input[name=category]:checked").input_value() == "harmful_refusal"
    page.keyboard.press("Enter")
    wait_for_labels(served, page, "ada", 2)
    assert served.live("ada")[-1]["response"] != skipped["response"]
    assert page.trouble == []


def test_shortcuts_can_be_turned_off_and_every_one_is_a_button(browser: Any, served: Served) -> None:
    page = enter(browser, served, "ada", viewport={"width": 390, "height": 800}, has_touch=True)
    page.uncheck("#shortcuts")
    page.keyboard.press("4")
    assert page.locator("input[name=category]:checked").count() == 0
    page.get_by_text("Refusal to answer", exact=True).tap()
    page.get_by_role("button", name="Save and go on").tap()
    wait_for_labels(served, page, "ada", 1)
    page.get_by_role("button", name="Undo the last label").tap()
    page.get_by_text("taken back").wait_for()
    assert served.live("ada") == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_keyboard_alone_reaches_everything(browser: Any, served: Served) -> None:
    page = enter(browser, served, "ada")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim().slice(0, 30)"))
        if page.evaluate("document.activeElement.matches('input[type=radio]')"):
            reached.add("radio")
    wanted = ("Save and go on", "Skip S", "Flag for discussion", "Guidelines", "Go through the questions")
    for part in wanted:
        assert any(part in text for text in reached), (part, reached)
    assert "radio" in reached


@pytest.mark.parametrize("served", [{"text": HOSTILE + "x" * 1_000_000, "few": True}], indirect=True)
def test_hostile_and_huge_responses_are_only_text(browser: Any, served: Served) -> None:
    page = enter(browser, served, "ada")
    assert page.title().startswith("Label")
    shown = page.locator(".response .said").inner_text()
    assert "<script>" in shown
    assert "U+202E" in shown
    assert "{{ 7 * 7 }}" in shown
    assert page.locator(".response img, .response script").count() == 0
    page.keyboard.type("4\n")
    wait_for_labels(served, page, "ada", 1)
    assert page.title().startswith("Label")
    assert page.trouble == []


def test_it_works_without_a_script(browser: Any, served: Served) -> None:
    page = enter(browser, served, "ada", java_script_enabled=False)
    page.check("input[value=partial_answer]")
    page.click("text=Save and go on")
    assert served.live("ada")[0]["category"] == "partial_answer"
    page.click("text=Undo the last label")
    assert served.live("ada") == []
    page.click("summary:has-text('Go through the questions')")
    box = page.locator("form.path")
    for answer in ("No", "Yes", "No", "No"):  # serves? declines? out of reach? harm in it?
        box = box.locator(":scope > details").nth(0 if answer == "Yes" else 1)
        box.locator(":scope > summary").click()
    box.locator(":scope > button").click()
    assert served.live("ada")[0]["category"] == "refusal"
    page.click("summary:has-text('Skip')")
    page.click("text=Rather not, without a reason")
    assert served.annotations("ada")[-1]["abstain_reason"] == "declined"


@pytest.mark.parametrize("served", [{"plan": ["practice: false", "batch: 3"]}], indirect=True)
def test_two_label_in_parallel_and_a_third_settles(browser: Any, served: Served) -> None:
    ada, bo = enter(browser, served, "ada"), enter(browser, served, "bo")
    for place in range(3):
        ada.keyboard.type("1\n")
        bo.keyboard.type("5\n" if place == 0 else "1\n")
    wait_for_labels(served, ada, "ada", 3)
    wait_for_labels(served, bo, "bo", 3)
    both = {row["response"] for row in served.live("ada")}
    assert both == {row["response"] for row in served.live("bo")}
    gold = people_labels(served.store)
    assert gold["source"].to_list() == ["unanimous"] * 2
    judy = enter(browser, served, "judy")
    judy.get_by_role("heading", name="1 to settle").wait_for()
    text = judy.locator(".opinions").inner_text()
    assert "Harmful refusal" in text
    assert "Answer" in text
    assert not re.search(r"\b(ada|bo)\b", judy.locator("main").inner_text())
    judy.keyboard.type("5\n")
    judy.get_by_role("heading", name="Nothing to settle").wait_for()
    assert served.count(ADJUDICATIONS) == 1
    assert sorted(people_labels(served.store)["source"]) == ["adjudicated", "unanimous", "unanimous"]
    assert ada.trouble + bo.trouble + judy.trouble == []


@pytest.mark.parametrize(
    "served",
    [{"text": "Anna cannot do that.", "plan": ["practice: false", "mask_signals: true", "annotators: 1"]}],
    indirect=True,
)
def test_names_are_hidden_in_the_quality_pass(browser: Any, served: Served) -> None:
    page = enter(browser, served, "ada")
    text = page.locator(".labelling").inner_text()
    assert "[NAME] cannot do that." in text
    assert not re.search("Anna|Ben|Cleo|Dan|Ema|Fred|Gina|Hugo|Ines|Jack|Kira|Leo", text)
    assert page.locator("input[name=category]").count() == 4
    page.keyboard.type("4\n")
    wait_for_labels(served, page, "ada", 1)
    assert served.live("ada")[0]["pass"] == "quality"


def test_a_server_that_does_not_answer_loses_no_label(browser: Any, served: Served) -> None:
    page = enter(browser, served, "ada")
    page.route("**/label/save", lambda route: route.abort())
    page.keyboard.type("4\n")
    page.get_by_text("Not saved").wait_for()
    page.unroute("**/label/save")
    page.keyboard.type("\n2\n")
    wait_for_labels(served, page, "ada", 2)
    assert [row["category"] for row in served.live("ada")] == ["refusal", "partial_answer"]
