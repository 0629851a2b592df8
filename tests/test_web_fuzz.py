"""Whatever is sent to whatever page: no failure of the server, and no label without a right to it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from conftest import SmallStudy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import Route
from web_studies import HOSTILE, Team, fill, make_team

from servicegap.records import CATEGORIES
from servicegap.store import Store
from servicegap.tables import ADJUDICATIONS, ANNOTATIONS, PEOPLE, ROUNDS, SLOTS
from servicegap.web.guards import Attempts

FIELDS = {
    "response": "",
    "pass": "whole quality harm",
    "category": " ".join(CATEGORIES),
    "harm": "none stated implied",
    "criteria": "stereotype suspicion",
    "active_seconds": "1.5 nan inf -1 1e400",
    "reason": "unclear",
    "decline": "yes",
    "note": "why",
    "agreed": "yes",
    "background": "x",
    "item": "",
    "name": "lead annotator new",
    "role": "annotator owner lead",
    "round": "1 2 999999999999999999999999",
}
ANY_TEXT = st.text(max_size=40) | st.sampled_from(
    [
        "\0",
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
        "' OR 1=1 --",
        "../../x",
        "a" * 5_000,
        *HOSTILE[:5],
    ]
)


@pytest.fixture
def team(small: SmallStudy, store: Store) -> Team:
    fill(small, store, texts=HOSTILE[:5])
    made = make_team(small, store)
    made.app.state.site.attempts = Attempts(most=10**6)
    for role in ("annotator", "adjudicator"):
        assert made.client(role).get("/label").status_code == 200
    return made


def state(store: Store) -> dict[str, Any]:
    with store.reading() as connection:
        return {
            "annotations": connection.execute(sa.select(ANNOTATIONS)).mappings().all(),
            "held": {
                (row.person, row.response, row._mapping["pass"])
                for row in connection.execute(sa.select(SLOTS).where(SLOTS.c.person.is_not(None)))
            },
            "decisions": connection.execute(sa.select(ADJUDICATIONS)).mappings().all(),
            "people": connection.execute(sa.select(PEOPLE.c.name, PEOPLE.c.role, PEOPLE.c.revoked)).all(),
            "rounds": connection.execute(sa.select(sa.func.count()).select_from(ROUNDS)).scalar_one(),
        }


@st.composite
def requests(draw: st.DrawFn, responses: list[str], items: list[str]) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(list(FIELDS)), max_size=8))
    form = []
    for name in chosen:
        known = {"response": responses, "item": items}.get(name) or FIELDS[name].split()
        form.append((name, draw(st.sampled_from(known) | ANY_TEXT)))
    if draw(st.integers(0, 9)) == 0:
        form.append((draw(ANY_TEXT), draw(ANY_TEXT)))
    return {
        "who": draw(st.sampled_from([None, "annotator", "adjudicator", "lead"])),
        "method": draw(st.sampled_from(["GET", "POST", "POST", "POST", "HEAD", "PUT", "OPTIONS"])),
        "form": form,
        "raw": draw(st.none() | st.none() | st.binary(max_size=60)),
        "type": draw(
            st.sampled_from(
                [
                    "application/x-www-form-urlencoded",
                    "multipart/form-data; boundary=x",
                    "multipart/form-data",
                    "application/json",
                    "x",
                ]
            )
        ),
        "fetch": draw(st.booleans()),
        "step": draw(ANY_TEXT),
    }


def paths_of(team: Team) -> list[str]:
    return sorted({route.path for route in team.app.routes if isinstance(route, Route)})


def send(team: Team, path: str, asked: dict[str, Any]) -> int:
    from urllib.parse import quote, urlencode

    client = team.client(asked["who"])
    for slot in ("{step}", "{token}"):
        path = path.replace(slot, quote(asked["step"], safe="", errors="replace") or "x")
    encoded = urlencode(asked["form"], errors="replace")
    content = asked["raw"] if asked["raw"] is not None else encoded.encode()
    headers = {"X-Requested-With": "fetch"} if asked["fetch"] else {}
    if asked["method"] in ("POST", "PUT"):
        sent_as = asked["type"] if asked["raw"] is not None else "application/x-www-form-urlencoded"
        return client.request(
            asked["method"], path, content=content, headers=headers | {"Content-Type": sent_as}
        ).status_code
    return client.request(asked["method"], f"{path}?{encoded}", headers=headers).status_code


@settings(max_examples=250, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(data=st.data())
def test_no_request_breaks_the_server_or_labels_without_a_right(team: Team, data: st.DataObject) -> None:
    before = state(team.store)
    held = sorted(response for _, response, _ in before["held"])
    asked = data.draw(requests([*held, "0" * 16], ["stored"]))
    path = data.draw(st.sampled_from(paths_of(team)))
    status = send(team, path, asked)
    after = state(team.store)
    who = asked["who"]
    assert status < 500, (path, asked)
    if who is None:
        assert after == before
    assert after["annotations"][: len(before["annotations"])] == before["annotations"]
    for added in after["annotations"][len(before["annotations"]) :]:
        assert added["annotator"] == who
        # What a person labels they held; what they take back they had labelled, so the slot is theirs too.
        assert (who, added["response"], added["pass"]) in before["held"]
    if who not in ("adjudicator", "lead"):
        assert after["decisions"] == before["decisions"]
    if who != "lead":
        assert after["people"] == before["people"]
        assert after["rounds"] == before["rounds"]


def test_the_fuzz_reaches_labels_and_skips(team: Team) -> None:
    """So that the property above is about something."""
    [(_, response, pass_)] = [held for held in state(team.store)["held"] if held[0] == "annotator"]
    asked = {"who": "annotator", "method": "POST", "raw": None, "fetch": False, "step": "", "type": ""}
    save = asked | {"form": [("response", response), ("pass", pass_), ("category", "refusal")]}
    assert send(team, "/label/save", save) == 303
    assert len(state(team.store)["annotations"]) == 1
    # The lead opened no page to label and holds nothing; the adjudicator may hold the same response.
    assert send(team, "/label/save", save | {"who": "lead"}) == 409
    assert len(state(team.store)["annotations"]) == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_responses_are_only_text(small: SmallStudy, store: Store, text: str) -> None:
    fill(small, store, texts=[text.replace("\0", "")])
    team = make_team(small, store)
    page = team.client("annotator").get("/label")
    assert page.status_code == 200
    body = page.text.split('<div id="panel">')[1]
    for live in ("<script>document", "<img", 'onerror="', "<style", "\u202e", "\u2066", "\u200b", "\ufeff"):
        assert live not in body
    if "\u202e" in text:
        assert '<span class="unseen">U+202E</span>' in body
    if "<script>" in text:
        assert "&lt;script&gt;document.title = &#39;owned&#39;&lt;/script&gt;" in body
    if "{{" in text:
        assert "{{ 7 * 7 }}" in body
