"""Who asks, and whether they may: people by the cookie of their secret link, rights by role.

Not here: which requests are let through at all (guards.py), and how people are kept (labelling/people.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import cast

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from servicegap.labelling.people import Person, Role, only_person, person_of_token
from servicegap.labelling.practice import practice_left
from servicegap.web.site import site_of

COOKIE = "servicegap"
_FORWARDED = frozenset({"forwarded", "x-forwarded-for", "x-forwarded-host", "via"})
_MOST_FIELDS = 100

Handler = Callable[[Request, Person], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


def person_of(request: Request) -> Person:
    """Return who asks.

    Raises
    ------
    HTTPException
        401 without a valid link; what the person knows to do about it is on the page of that error.
    """
    site = site_of(request)
    if not site.tokens:
        if _FORWARDED & set(request.headers):
            raise HTTPException(
                403, "Behind a proxy, people need links: servicegap people add, then start again."
            )
        return only_person(site.store)
    token = request.cookies.get(COOKIE)
    person = person_with(request, token) if token else None
    if person is None:
        raise HTTPException(401, "Please open your own link: it is what lets you in.")
    return person


def person_with(request: Request, token: str) -> Person | None:
    """Return whose secret this is, None if nobody's (which is counted).

    Raises
    ------
    HTTPException
        429 if the same address has tried too many that are nobody's.
    """
    site = site_of(request)
    address = request.client.host if request.client else ""
    if site.attempts.too_many(address):
        raise HTTPException(429, "Too many links that let nobody in were tried; wait a minute.")
    person = person_of_token(site.store, token)
    if person is None:
        site.attempts.note_failure(address)
    return person


def allowed(*roles: Role, ready: bool = False) -> Callable[[Handler], Endpoint]:
    """Make a page that only people of some roles may ask for.

    The handler is an ordinary function, as the database is; it runs in a thread, with the form (if one was
    sent) at hand through :func:`form_of`.

    Parameters
    ----------
    *roles : str
        Who may; others get 403.
    ready : bool
        Whether the page is live work: whoever has not consented, or not yet practised where the plan asks
        for it, is sent to that page first.
    """

    def decorate(handler: Handler) -> Endpoint:
        def answer(request: Request) -> Response:
            person = person_of(request)
            request.state.person = person
            if person.role not in roles:
                raise HTTPException(403, f"This page is not for the role {person.role}.")
            first = _what_comes_first(request, person) if ready else None
            return handler(request, person) if first is None else RedirectResponse(first, 303)

        async def endpoint(request: Request) -> Response:
            if request.method == "POST":
                request.state.form = await _read_form(request)
            return await run_in_threadpool(answer, request)

        endpoint.__name__ = handler.__name__
        return endpoint

    return decorate


def _what_comes_first(request: Request, person: Person) -> str | None:
    site = site_of(request)
    if person.consented is None:
        return "/"
    wanted = site.study.plan.labelling.practice and person.trained is None
    return "/practice" if wanted and practice_left(site.store, person, site.codebook) else None


async def _read_form(request: Request) -> FormData:
    form = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    for name, value in form.multi_items():
        # A database cannot keep NUL, and no page sends it.
        if isinstance(value, UploadFile) or "\0" in name or "\0" in value:
            raise HTTPException(400, "The form holds what no page of this server sends.")
    return form


def form_of(request: Request) -> FormData:
    """Return the form that was sent, empty for a request without one."""
    return cast(FormData, getattr(request.state, "form", FormData()))


def text_of(request: Request, name: str) -> str:
    """Return one field of the form, without blanks around it; empty where it was not sent."""
    return str(form_of(request).get(name, "")).strip()
