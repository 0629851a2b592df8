"""Studies to serve in the tests of the pages, and browsers that are no browsers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from conftest import Answer, SmallStudy
from starlette.testclient import TestClient

from servicegap.labelling.people import ROLES, Role, add_person, find_person, note_consent, note_trained
from servicegap.store import Store
from servicegap.web.app import create_app

HOST = "127.0.0.1"
#: What every browser of today sends with a form of the page that it shows.
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}

HOSTILE = [
    "<script>document.title = 'owned'</script>",
    '<img src="http://elsewhere.example/x.png" onerror="document.title = 1">',
    "left\u202eright\u2066 zero\u200bwidth \u0000-less \ufeff end",
    "</div></main><style>body { display: none }</style>",
    "{{ 7 * 7 }} {% raw %}",
    "word " * 20_000,
    "unbroken" * 5_000,
    "plain answer",
]


def fill(small: SmallStudy, store: Store, *, texts: list[str] | None = None) -> None:
    """Give the study responses: plain ones, or each of `texts` in turn."""
    number = iter(range(10**6))
    small.answer(
        store,
        lambda *_: Answer(None, text=texts[next(number) % len(texts)] if texts else f"answer {next(number)}"),
    )


@dataclass(frozen=True)
class Team:
    """A study with one person of each role, and their secrets."""

    store: Store
    tokens: Mapping[str, str]
    app: Any

    def client(self, name: str | None, **headers: str) -> TestClient:
        """Return a browser that has entered as somebody; None = as nobody."""
        cookies = {"servicegap": self.tokens[name]} if name else None
        return TestClient(
            self.app,
            base_url=f"http://{HOST}",
            cookies=cookies,
            headers=FROM_HERE | headers,
            follow_redirects=False,
            raise_server_exceptions=False,
        )


def add_ready(store: Store, name: str, role: Role) -> str:
    """Add a person who has consented and practised; return their secret."""
    token = add_person(store, name, role)
    assert token is not None
    note_consent(store, name)
    note_trained(store, name)
    return token


def make_team(
    small: SmallStudy, store: Store, *, ready: bool = True, hosts: tuple[str, ...] = (HOST,)
) -> Team:
    """Serve `small` to an annotator, an adjudicator and a lead, named as their roles."""
    add = add_ready if ready else add_person
    tokens: dict[str, str] = {role: str(add(store, role, role)) for role in ROLES}
    assert all(find_person(store, role) for role in ROLES)
    return Team(store, tokens, create_app(small.open(), store, hosts=hosts, tokens=True))


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve pages to real browsers; give the address. In a thread: a process spends a second on imports."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    yield f"http://{HOST}:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(20)


@contextmanager
def alone(small: SmallStudy, store: Store) -> Iterator[TestClient]:
    """Serve `small` without links, as on one's own machine."""
    app = create_app(small.open(), store, hosts=(HOST,), tokens=False)
    with TestClient(app, base_url=f"http://{HOST}", headers=FROM_HERE, follow_redirects=False) as client:
        yield client
