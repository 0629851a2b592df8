"""The first page: what will be seen, consent, and what a person chooses to tell of themselves."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from servicegap.errors import InputError
from servicegap.labelling.people import ROLES, Person, note_background, note_consent
from servicegap.labelling.practice import practice_left
from servicegap.web.access import allowed, text_of
from servicegap.web.pages import render
from servicegap.web.site import site_of

LONGEST_BACKGROUND = 200


@allowed(*ROLES)
def start(request: Request, person: Person) -> Response:
    """Show what the work is, and what comes next."""
    site = site_of(request)
    plan = site.study.plan.labelling
    practice = (
        practice_left(site.store, person, site.codebook) if plan.practice and not person.trained else []
    )
    return render(request, "start.html.j2", plan=plan, practice=len(practice), longest=LONGEST_BACKGROUND)


@allowed(*ROLES)
def consent(request: Request, person: Person) -> Response:
    """Note that a person agrees, or changes what they tell of themselves."""
    store = site_of(request).store
    background = text_of(request, "background")
    if len(background) > LONGEST_BACKGROUND:
        raise InputError(
            f"background: {len(background)} characters; allowed: {LONGEST_BACKGROUND}; nothing was changed"
        )
    if person.consented is None and text_of(request, "agreed") != "yes":
        raise InputError("Please tick that you agree, or close the page: nothing was kept.")
    if background != (person.background or ""):
        note_background(store, person.name, background)
    if person.consented is None:
        note_consent(store, person.name)
    return RedirectResponse("/", 303)


routes = [Route("/", start, methods=["GET"]), Route("/", consent, methods=["POST"])]
