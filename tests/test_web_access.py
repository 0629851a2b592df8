"""Who may do what on the pages, and what no request may do."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import SmallStudy
from starlette.routing import Route
from web_studies import HOST, Team, add_ready, alone, fill, make_team

from servicegap.errors import InputError
from servicegap.labelling.people import ROLES, Person, add_person, find_person, revoke
from servicegap.labelling.rounds import current_round
from servicegap.labelling.slots import next_item
from servicegap.store import Store
from servicegap.tables import ANNOTATIONS, METADATA, SLOTS
from servicegap.web.guards import HEADERS, Attempts
from servicegap.web.server import plan_access

#: Path -> the roles that may; everything else is for everybody who has come in.
ONLY = {
    "/adjudicate": {"adjudicator", "lead"},
    "/adjudicate/decide": {"adjudicator", "lead"},
    "/lead": {"lead"},
    "/lead/round": {"lead"},
    "/lead/close": {"lead"},
    "/lead/people/add": {"lead"},
    "/lead/people/revoke": {"lead"},
    "/results": {"lead"},
    "/results/report": {"lead"},
}
OPEN = {"/enter/{token}", "/leave"}


@pytest.fixture
def team(small: SmallStudy, store: Store) -> Team:
    fill(small, store)
    return make_team(small, store)


def routes(team: Team) -> Iterator[tuple[str, str]]:
    for route in team.app.routes:
        if isinstance(route, Route):
            path = route.path.replace("{step}", "refusal")
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield method, path


def count(store: Store, table: sa.Table) -> int:
    with store.reading() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def contents(store: Store) -> dict[str, list[Any]]:
    with store.reading() as connection:
        return {t.name: list(connection.execute(sa.select(t))) for t in METADATA.sorted_tables}


def test_nobody_gets_anything_without_a_link(team: Team) -> None:
    before = contents(team.store)
    asked = [(m, p) for m, p in routes(team) if p not in OPEN]
    assert len(asked) > 15
    for who in (team.client(None), team.client(None, Cookie="servicegap=guessed")):
        for method, path in asked:
            answer = who.request(method, path)
            assert answer.status_code in (401, 429), (method, path)
            assert "answer 1" not in answer.text
    assert contents(team.store) == before


@pytest.mark.parametrize("role", ROLES)
def test_every_role_gets_its_pages_and_no_others(team: Team, role: str) -> None:
    client = team.client(role)
    for method, path in routes(team):
        if path in OPEN:
            continue
        status = client.request(method, path).status_code
        may = role in ONLY.get(path, set(ROLES))
        assert (status == 403) != may, (method, path, status)
        assert status < 500


def test_no_page_leads_where_the_person_may_not_go(team: Team) -> None:
    page = team.client("annotator").get("/").text
    assert 'href="/label"' in page
    assert "/lead" not in page
    assert "/results" not in page
    assert 'href="/lead"' in team.client("lead").get("/").text


def test_every_response_forbids_the_browser_what_it_should(team: Team) -> None:
    answers = [team.client("lead").request(m, p) for m, p in routes(team)]
    answers += [
        team.client(None).get("/"),
        team.client(None).get("/nowhere"),
        team.client(None).get("/static/style.css"),
        team.client(None).get("/", headers={"Host": "elsewhere"}),
        team.client(None).post("/", content=b"x" * 1_100_000),
    ]
    for answer in answers:
        for name in HEADERS:
            assert name in answer.headers, (answer.url, name)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "script-src 'unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_pages_hold_no_script_and_no_style_of_their_own(team: Team) -> None:
    for role, (method, path) in itertools.product(ROLES, routes(team)):
        text = team.client(role).request(method, path).text
        for inline in ("<script>", "<style", " style=", "javascript:", " onclick", " onload", " onsubmit"):
            assert inline not in text, (path, inline)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": f"http://{HOST}"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": f"http://{HOST}:9999"},
        {"Origin": f"http://{HOST}.elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://[broken"},
        {},
    ],
    ids=str,
)
def test_what_another_site_sends_is_refused(team: Team, headers: dict[str, str]) -> None:
    client = team.client("lead")
    del client.headers["Sec-Fetch-Site"]
    before = contents(team.store)
    posts = [path for method, path in routes(team) if method == "POST"]
    assert len(posts) > 8
    for path in posts:
        assert client.post(path, headers=headers).status_code == 403, path
    assert client.delete("/lead", headers=headers).status_code == 403
    assert contents(team.store) == before


def test_a_form_of_an_older_browser_is_taken_by_its_origin(team: Team) -> None:
    client = team.client("annotator")
    del client.headers["Sec-Fetch-Site"]
    assert client.post("/", headers={"Origin": f"http://{HOST}"}).status_code == 303


@pytest.mark.parametrize(
    "name", ["elsewhere", f"{HOST}.elsewhere", "localhost", "", f"{HOST}@elsewhere", "::"]
)
def test_another_name_of_the_server_is_refused(team: Team, name: str) -> None:
    client = team.client("lead")
    answer = client.get("/lead", headers={"Host": name})
    assert answer.status_code == 400
    assert "Labels in round" not in answer.text
    assert client.get("/lead", headers={"Host": f"{HOST}:4711"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/label/save", "/lead/people/add"])
def test_requests_that_are_too_large_are_refused(team: Team, path: str) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(12):
            yield b"a=" + b"x" * 100_000 + b"&"

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    client = team.client("lead")
    assert client.post(path, content=b"a=" + b"x" * 1_000_000, headers=form).status_code == 413
    assert client.post(path, content=pieces(), headers=form).status_code == 413
    assert client.post(path, data={f"f{n}": "x" for n in range(1_100)}).status_code == 400
    assert client.post(path, files={"file": b"x"}).status_code == 400


def test_a_link_lets_its_person_in_and_tells_its_secret_to_nobody(
    team: Team, small: SmallStudy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = team.tokens["annotator"]
    answer = team.client(None).get(f"/enter/{token}")
    assert answer.status_code == 200
    assert token not in answer.text
    assert answer.headers["refresh"] == "0; url=/"
    assert answer.headers["referrer-policy"] == "no-referrer"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    team.client(None).get("/enter/somebody-elses")
    # What the client of the test writes is none of the server's.
    logged = [record.getMessage() for record in caplog.records if record.name != "httpx2"]
    assert any(line.startswith("GET /enter/... 200") for line in logged)
    assert not [line for line in logged if token in line or "somebody-elses" in line]
    for file in small.folder.iterdir():
        assert file.is_dir() or token.encode() not in file.read_bytes()


def test_an_encrypted_link_gives_a_cookie_for_encrypted_connections_alone(team: Team) -> None:
    client = team.client(None)
    client.base_url = client.base_url.copy_with(scheme="https")
    assert "Secure" in client.get(f"/enter/{team.tokens['lead']}").headers["set-cookie"]


def test_leaving_and_coming_back(team: Team) -> None:
    client = team.client("annotator")
    assert client.get("/").status_code == 200
    person = find_person(team.store, "annotator")
    assert person is not None
    assert next_item(team.app.state.site.study, team.store, person, at=0.0) is not None
    assert 'servicegap=""' in client.post("/leave").headers["set-cookie"]
    # What was held is free for others.
    with team.store.reading() as connection:
        assert set(connection.execute(sa.select(SLOTS.c.person)).scalars()) == {None}
    assert team.client("annotator").get("/").status_code == 200


def test_a_link_that_was_ended_lets_out_at_once(team: Team) -> None:
    client = team.client("annotator")
    assert client.get("/label").status_code == 200
    revoke(team.store, "annotator")
    assert client.get("/label").status_code == 401
    assert "servicegap=" in client.get("/label").headers["set-cookie"]
    assert team.client(None).get(f"/enter/{team.tokens['annotator']}").status_code == 404


def test_links_cannot_be_tried_out(team: Team) -> None:
    client = team.client(None)
    seen = [client.get(f"/enter/guess-{number}").status_code for number in range(25)]
    assert seen == [404] * 20 + [429] * 5
    # Nor by cookies, and a right guess is not told apart any more.
    assert team.client(None, Cookie="servicegap=guess").get("/").status_code == 429
    assert client.get(f"/enter/{team.tokens['lead']}").status_code == 429


def test_attempts_are_forgiven_after_a_while_and_few_addresses_are_kept() -> None:
    time = 0.0
    attempts = Attempts(most=2, seconds=60, addresses=2, clock=lambda: time)
    for address in ("a", "a", "b"):
        attempts.note_failure(address)
    assert attempts.too_many("a")
    assert not attempts.too_many("b")
    time = 61.0
    assert not attempts.too_many("a")
    for address in ("b", "a", "c"):
        attempts.note_failure(address)
    assert not attempts.too_many("b")


def test_nothing_is_labelled_before_consent_and_practice(small: SmallStudy, store: Store) -> None:
    fill(small, store)
    team = make_team(small, store, ready=False)
    client = team.client("annotator")
    assert client.get("/label").headers["location"] == "/"
    assert client.post("/label/save", data={"response": "x"}).headers["location"] == "/"
    assert client.get("/practice").headers["location"] == "/"
    assert "background" in client.get("/").text
    assert client.post("/", data={"background": "from the coast"}).status_code == 400
    assert find_person(store, "annotator").consented is None  # type: ignore[union-attr]
    assert client.post("/", data={"agreed": "yes", "background": "from the coast"}).status_code == 303
    person = find_person(store, "annotator")
    assert person is not None
    assert (person.consented, person.background) == (person.consented, "from the coast")
    assert client.get("/label").headers["location"] == "/practice"
    assert client.post("/", data={"background": ""}).status_code == 303
    assert find_person(store, "annotator").background is None  # type: ignore[union-attr]
    assert count(store, ANNOTATIONS) == 0


def test_practice_tells_what_the_codebook_says_and_ends(small: SmallStudy, store: Store) -> None:
    fill(small, store)
    client = make_team(small, store, ready=False).client("annotator")
    client.post("/", data={"agreed": "yes"})
    said = set()
    for _ in range(100):
        page = client.get("/practice").text
        if 'name="item"' not in page:
            break
        item = page.split('name="item" value="')[1].split('"')[0]
        assert client.post("/practice", data={"item": item}).status_code == 400
        answer = client.post("/practice", data={"item": item, "category": "refusal"})
        feedback = client.get(answer.headers["location"]).text
        said.add("Yes: Refusal" in feedback)
        assert "Yes: Refusal" in feedback or "The codebook says:" in feedback
    assert said == {True, False}
    assert "ready for live work" in page
    assert client.get("/label").status_code == 200
    assert client.get("/practice?answered=x&chosen=refusal").status_code == 404
    assert client.post("/practice", data={"item": "x", "category": "refusal"}).status_code == 409
    assert count(store, ANNOTATIONS) == 0


def test_alone_there_is_one_person_and_no_link(small: SmallStudy, store: Store) -> None:
    fill(small, store)
    with alone(small, store) as client:
        assert client.get("/lead").status_code == 200
        assert client.get("/enter/anything").headers["location"] == "/"
        assert client.post("/lead/people/add", data={"name": "ann", "role": "lead"}).status_code == 400
        for proxy in ("X-Forwarded-For", "Forwarded", "Via", "X-Forwarded-Host"):
            assert client.get("/lead", headers={proxy: "10.0.0.9"}).status_code == 403
    assert find_person(store, "ann") is None


def test_the_lead_lets_people_in_and_out(team: Team) -> None:
    lead = team.client("lead")
    page = lead.post("/lead/people/add", data={"name": "Zoë <b>", "role": "annotator"})
    assert page.status_code == 200
    assert "Zoë &lt;b&gt;" in page.text
    link = page.text.split('class="secret">')[1].split("<")[0]
    assert link.startswith(f"http://{HOST}/enter/")
    assert team.client(None).get(link).status_code == 200
    assert lead.post("/lead/people/add", data={"name": "Zoë <b>", "role": "annotator"}).status_code == 400
    assert lead.post("/lead/people/add", data={"name": "x", "role": "owner"}).status_code == 400
    assert lead.post("/lead/people/revoke", data={"name": "Zoë <b>"}).status_code == 303
    assert team.client(None).get(link).status_code == 404
    assert lead.post("/lead/people/revoke", data={"name": "lead"}).status_code == 400
    assert lead.post("/lead/people/revoke", data={"name": "nobody"}).status_code == 400


def test_a_round_is_opened_once_however_often_the_form_is_sent(team: Team) -> None:
    lead = team.client("lead")
    lead.get("/lead")
    first = current_round(team.store)
    assert first is not None
    assert lead.post("/lead/round", data={"round": str(first.id)}).status_code == 303
    assert lead.post("/lead/round", data={"round": str(first.id)}).status_code == 400
    assert lead.post("/lead/round").status_code == 400
    second = current_round(team.store)
    assert second is not None
    assert second.id == first.id + 1


def test_the_report_can_only_be_read(team: Team, small: SmallStudy) -> None:
    lead = team.client("lead")
    assert "no report yet" in lead.get("/results").text
    assert lead.get("/results/report").status_code == 404
    path = small.open().report_path
    path.parent.mkdir()
    path.write_text("<p>the report</p>")
    assert '<iframe src="/results/report"' in lead.get("/results").text
    assert "frame-src 'self'" in lead.get("/results").headers["content-security-policy"]
    answer = lead.get("/results/report")
    assert answer.text == "<p>the report</p>"
    policy = answer.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["cache-control"] == "no-store"


def test_a_script_is_told_of_mistakes_in_its_own_way(team: Team) -> None:
    answer = team.client("lead").post("/lead/round", headers={"Accept": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("round 1 is the latest by now")


def test_nothing_but_the_static_files_is_served_from_the_package(team: Team) -> None:
    style = team.client(None).get("/static/style.css")
    assert style.status_code == 200
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/", "/static"):
        assert team.client("lead").get(path).status_code in (404, 307), path


def person(name: str) -> Person:
    return Person(name, "lead", 1)


@pytest.mark.parametrize(
    ("host", "allowed", "people", "tokens"),
    [
        ("127.0.0.1", (), ("local",), False),
        ("localhost", (), (), False),
        ("::1", ("localhost",), (), False),
        ("127.0.0.1", (), ("ann",), True),
        ("127.0.0.1", ("label.example.org",), ("ann",), True),
        ("10.0.0.4", (), ("ann",), True),
        ("0.0.0.0", ("label.example.org",), ("ann",), True),
        ("0.0.0.0", ("localhost",), ("ann",), True),
    ],
)
def test_links_are_needed_wherever_others_can_come(
    host: str, allowed: tuple[str, ...], people: tuple[str, ...], tokens: bool
) -> None:
    access = plan_access(host, allowed, [person(name) for name in people])
    assert access.tokens is tokens
    assert set(allowed) <= set(access.hosts)
    assert not {"0.0.0.0", "*"} & set(access.hosts)


@pytest.mark.parametrize(
    ("host", "allowed", "people", "problems"),
    [
        ("0.0.0.0", (), ("ann",), ["--host 0.0.0.0: listens on all addresses"]),
        ("::", (), ("ann",), ["--host ::: listens on all addresses"]),
        ("10.0.0.4", (), ("local",), ["nobody has one"]),
        ("0.0.0.0", (), (), ["listens on all", "nobody has one"]),
        ("127.0.0.1", ("label.example.org",), (), ["nobody has one"]),
        ("127.0.0.1", ("*", "https://x", "x:80", ""), ("ann",), ["'*'", "'https://x'", "'x:80'", "''"]),
    ],
)
def test_it_does_not_start_open_to_others(
    host: str, allowed: tuple[str, ...], people: tuple[str, ...], problems: list[str]
) -> None:
    with pytest.raises(InputError) as told:
        plan_access(host, allowed, [person(name) for name in people])
    assert len(told.value.problems) == len(problems)
    assert all(part in line for part, line in zip(problems, told.value.problems, strict=True))


def test_the_command_refuses_before_it_listens(small: SmallStudy, store: Store, run: Any) -> None:
    fill(small, store)
    ended = run("serve", small.folder, "--host", "10.0.0.4")
    assert ended.code == 2
    assert "servicegap people add" in ended.error
    add_person(store, "ann", "lead")
    ended = run("serve", small.folder, "--host", "0.0.0.0")
    assert "--allow-host" in ended.error
    ended = run("serve", small.folder, "--host", "192.0.2.1", "--port", "1")
    assert ended.code == 1
    assert "192.0.2.1:1: cannot listen there" in ended.error


def test_an_unknown_folder_is_told(tmp_path: Path, run: Any) -> None:
    assert "servicegap init" in run("serve", tmp_path / "none").error


def test_agreement_is_computed_again_only_for_other_labels(small: SmallStudy, store: Store) -> None:
    fill(small, store)
    team = make_team(small, store)
    site = team.app.state.site
    first = site.agreement.read(site.study, store)
    assert site.agreement.read(site.study, store) is first
    assert first[0].found.labels == 0
    add_ready(store, "second", "annotator")
    page = team.client("annotator").get("/label").text
    response = page.split('name="response" value="')[1].split('"')[0]
    form = {"response": response, "pass": "whole", "category": "refusal"}
    assert team.client("annotator").post("/label/save", data=form).status_code == 303
    assert site.agreement.read(site.study, store)[0].found.labels == 1
