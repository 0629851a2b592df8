"""What protects people who read unpleasant text all day: the pages offer a break and end the day."""

from __future__ import annotations

import time

from conftest import SmallStudy
from web_studies import Team, fill, make_team

from servicegap.labelling.people import find_person
from servicegap.labelling.record import save_label
from servicegap.labelling.slots import next_item
from servicegap.store import Store

BREAK = "A short break helps"
CAP = "Enough for today"


def team_with(small: SmallStudy, store: Store, labelling: str) -> Team:
    fill(small, store)
    small.change("study.yaml", "annotators: []\n", f"annotators: []\nlabelling: {labelling}\n")
    return make_team(small, store)


def label(small: SmallStudy, team: Team, minutes_ago: float) -> None:
    study, person = small.open(), find_person(team.store, "annotator")
    assert person is not None
    at = time.time() - 60 * minutes_ago
    item = next_item(study, team.store, person, at=at)
    assert item is not None
    save_label(study, team.store, person, item.response, item.pass_, category="answer", at=at)


def test_a_break_is_offered_after_the_plans_minutes_and_not_after_a_rest(
    small: SmallStudy, store: Store
) -> None:
    team = team_with(small, store, "{break_minutes: 10}")
    client = team.client("annotator")
    for minutes_ago in (11, 8, 5, 2):
        assert BREAK not in client.get("/label").text
        label(small, team, minutes_ago)
    page = client.get("/label").text
    assert BREAK in page
    assert "Save and go on" in page  # offered, not forced


def test_without_pause_means_without_a_rest_between(small: SmallStudy, store: Store) -> None:
    team = team_with(small, store, "{break_minutes: 10}")
    for minutes_ago in (14, 12, 4, 2):
        label(small, team, minutes_ago)
    assert BREAK not in team.client("annotator").get("/label").text


def test_the_day_ends_at_the_cap(small: SmallStudy, store: Store) -> None:
    team = team_with(small, store, "{daily_cap: 2}")
    client = team.client("annotator")
    label(small, team, 0)
    page = client.get("/label").text
    assert CAP not in page
    assert "Save and go on" in page
    label(small, team, 0)
    page = client.get("/label").text
    assert CAP in page
    assert "Save and go on" not in page
    assert "Undo the last label" in page
