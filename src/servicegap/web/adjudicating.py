"""Settle what people disagree on, or flagged: one dispute after another, without names."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from servicegap.errors import DataError
from servicegap.labelling.adjudication import adjudicate, disputes
from servicegap.labelling.people import Person
from servicegap.records import CATEGORIES
from servicegap.web.access import allowed, text_of
from servicegap.web.annotating import wants_fragment
from servicegap.web.pages import fragment, render
from servicegap.web.site import site_of

PAGE = "/adjudicate"


@allowed("adjudicator", "lead", ready=True)
def page(request: Request, person: Person) -> Response:
    """Show the next dispute."""
    return _show(request, person)


@allowed("adjudicator", "lead", ready=True)
def decide(request: Request, person: Person) -> Response:
    """Keep a decision, with its note."""
    response, category = text_of(request, "response"), text_of(request, "category")
    note = text_of(request, "note")[:2000] or None
    status, said = 200, "Decided."
    if category not in CATEGORIES:
        status, said = 400, "Pick one of the categories; nothing was decided."
    else:
        try:
            adjudicate(site_of(request).store, person, response, category, note, at=time.time())
        except DataError as error:
            status, said = 409, str(error)
    if status == 200 and not wants_fragment(request):
        return RedirectResponse(PAGE, 303)
    return _show(request, person, said=said, status=status)


def _show(request: Request, person: Person, *, said: str = "", status: int = 200) -> Response:
    site = site_of(request)
    waiting = disputes(site.study, site.store, person=person)
    shown = {
        "dispute": waiting[0] if waiting else None,
        "left": len(waiting),
        "said": said,
        "categories": site.codebook.categories,
        "labels": {text.id: text.label for text in site.codebook.categories},
    }
    if wants_fragment(request):
        return HTMLResponse(fragment("_dispute.html.j2", **shown), status)
    return render(request, "adjudicate.html.j2", status=status, **shown)


routes = [Route(PAGE, page), Route(f"{PAGE}/decide", decide, methods=["POST"])]
