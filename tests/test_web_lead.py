"""What the lead is told, and what they decide: when to stop, what is asked next, who waits for a decision."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from conftest import SmallStudy
from web_studies import Team, add_ready, fill, make_team

from servicegap.codebook import codebook_of
from servicegap.label_plan import write_target
from servicegap.labelling.people import find_person
from servicegap.labelling.record import save_label
from servicegap.labelling.rounds import current_round, open_round
from servicegap.labelling.silent_gold import cases_of
from servicegap.labelling.slots import next_item
from servicegap.records import Annotation, Category
from servicegap.store import Store, write_annotations
from servicegap.study import now
from servicegap.tables import ROUND_ITEMS, SLOTS

HEADINGS = re.compile(r'id="stop">([^<]*)<')


def text_of(page: str) -> str:
    """Return what a page says, without its tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def judge(
    store: Store, categories: dict[str, str], *, name: str = "offline", kind: str = "automatic"
) -> None:
    with store.writing() as connection:
        write_annotations(
            connection,
            [
                Annotation(response, name, kind, "1", category, now())  # type: ignore[arg-type]
                for response, category in categories.items()
            ],
        )


def label(
    small: SmallStudy, store: Store, name: str, most: int, category: Category | None = "answer"
) -> list[str]:
    """Let a person label the next responses, None = some so and some so; return which they were."""
    study, person = small.open(), find_person(store, name)
    assert person is not None
    labelled: list[str] = []
    while len(labelled) < most and (item := next_item(study, store, person, at=0.0)):
        given: Category = category or ("refusal" if int(item.response[:2], 16) % 3 else "answer")
        save_label(study, store, person, item.response, item.pass_, category=given, at=0.0)
        labelled.append(item.response)
    return labelled


def drawn(store: Store) -> list[str]:
    with store.reading() as connection:
        return list(connection.execute(sa.select(ROUND_ITEMS.c.response).distinct()).scalars())


@pytest.fixture
def team(small: SmallStudy, store: Store) -> Team:
    fill(small, store)
    small.change(
        "study.yaml", "annotators: []\n", "annotators: [offline]\nlabelling: {annotators: 1, batch: 104}\n"
    )
    return make_team(small, store)


def test_whether_to_stop_is_looked_at_when_a_batch_is_settled(small: SmallStudy, team: Team) -> None:
    lead = team.client("lead")
    assert HEADINGS.findall(lead.get("/lead").text) == []  # no target
    write_target(team.store, 0.9)
    judge(team.store, dict.fromkeys(drawn(team.store), "refusal"))
    assert "The next look is when 104 more responses" in text_of(lead.get("/lead").text)
    label(small, team.store, "annotator", 103, None)
    before = lead.get("/lead").text
    assert HEADINGS.findall(before) == ["When to stop"]
    assert "The next look is when 1 more response of a batch is settled." in text_of(before)
    label(small, team.store, "annotator", 1, None)
    first = text_of(lead.get("/lead").text)
    assert "Not enough labels yet" in first
    assert "At the end of batch 1 of 2:" in first
    assert "The next look is when 104 more" in first
    assert "labels of" in first  # too few of some group
    label(small, team.store, "annotator", 104, None)
    done = lead.get("/lead").text
    assert HEADINGS.findall(done) == ["Labelling may stop"]
    assert re.search(r"every planned gap is known to ± \d+.\d points or better", done)
    assert done.count('action="/lead/close"') == 2


def test_a_round_that_the_lead_closes_stays_closed_until_they_open_another(
    small: SmallStudy, team: Team
) -> None:
    lead, annotator = team.client("lead"), team.client("annotator")
    shown = annotator.get("/label").text
    assert lead.post("/lead/close", data={"round": "1"}).status_code == 303
    assert lead.post("/lead/close", data={"round": "1"}).status_code == 409
    assert lead.post("/lead/close", data={"round": "x"}).status_code == 400
    assert current_round(team.store) is None
    # What was on the screen when it closed is still taken.
    form = dict(re.findall(r'name="(response|pass)" value="([^"]*)"', shown))
    after = annotator.post(
        "/label/save", data={**form, "category": "answer"}, headers={"X-Requested-With": "fetch"}
    )
    assert after.status_code == 200
    assert "No round is open" in after.text
    assert "Undo" not in after.text
    assert (
        "There is nothing to undo"
        in annotator.post("/label/undo", headers={"X-Requested-With": "fetch"}).text
    )
    page = text_of(lead.get("/lead").text)
    assert "closed now: nobody is asked anything" in page
    assert "Open round 2" in page
    small.write("codebook.yaml", (codebook_text()).replace("version: ", "version: 9"))
    assert "No round is open" in annotator.get("/label").text
    assert lead.post("/lead/round", data={"round": "1"}).status_code == 303
    now_open = current_round(team.store)
    assert now_open is not None
    assert now_open.id == 2
    assert "Response 1 of" in annotator.get("/label").text


def codebook_text() -> str:
    from servicegap.codebook import BUILT_IN

    return BUILT_IN.read_text(encoding="utf-8")


def test_a_round_of_what_judges_disagree_on_is_offered_where_they_do(small: SmallStudy, team: Team) -> None:
    lead = team.client("lead")
    assert "judges disagree" not in text_of(lead.get("/lead").text)
    known = sorted(drawn(team.store))
    [settled] = label(small, team.store, "annotator", 1)
    disputed = [response for response in known if response != settled][:5]
    judge(team.store, dict.fromkeys(known, "answer"), name="judge:a", kind="judge")
    other = dict.fromkeys([*disputed, settled], "refusal")
    judge(team.store, dict.fromkeys(known, "answer") | other, name="judge:b", kind="judge")
    assert "The 5 responses on which the panel of judges" in text_of(lead.get("/lead").text)
    assert lead.post("/lead/round", data={"round": "1", "which": "judged"}).status_code == 303
    with team.store.reading() as connection:
        asked = set(connection.execute(sa.select(SLOTS.c.response).where(SLOTS.c.round == 2)).scalars())
    assert asked == set(disputed)
    label(small, team.store, "annotator", 5)
    assert "judges disagree" not in text_of(lead.get("/lead").text)
    assert lead.post("/lead/round", data={"round": "2", "which": "judged"}).status_code == 400


def test_the_lead_is_told_how_many_drawn_responses_wait_for_a_decision(
    small: SmallStudy, store: Store
) -> None:
    fill(small, store)
    small.change("study.yaml", "annotators: []\n", "annotators: []\nlabelling: {annotators: 2, batch: 4}\n")
    team = make_team(small, store)
    add_ready(store, "second", "annotator")
    lead = team.client("lead")
    assert "for a decision. People" not in lead.get("/lead").text
    label(small, store, "annotator", 4)
    label(small, store, "second", 3, "refusal")
    page = text_of(lead.get("/lead").text)
    assert "3 drawn responses wait for a decision. People disagree on them" in page
    assert "3 disputed, 0 flagged" in page
    for turn in (2, 1):
        dispute = team.client("adjudicator").get("/adjudicate").text
        [response] = re.findall(r'name="response" value="([^"]*)"', dispute)
        form = {"response": response, "category": "answer"}
        assert team.client("adjudicator").post("/adjudicate/decide", data=form).status_code == 303
        assert f"{turn} drawn response" in lead.get("/lead").text
    assert "1 drawn response waits for a decision. People disagree on it" in text_of(lead.get("/lead").text)


def test_guidelines_leave_out_the_cases_that_serve_as_silent_gold(small: SmallStudy, team: Team) -> None:
    cases = cases_of(codebook_of(small.open()))
    every = team.client("annotator").get("/guidelines").text.count('class="case card"')
    assert every > len(cases) > 0
    open_round(
        small.open(), team.store, plan=small.open().plan.labelling.model_copy(update={"silent_gold": 1})
    )
    for role in ("annotator", "adjudicator"):
        page = team.client(role).get("/guidelines").text
        assert page.count('class="case card"') == every - len(cases)
    assert team.client("lead").get("/guidelines").text.count('class="case card"') == every
