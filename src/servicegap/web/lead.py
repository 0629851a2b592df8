"""The lead's page: follow the labelling, open and close rounds, let people in and out."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from servicegap.errors import InputError
from servicegap.labelling.judged import unsettled_disagreements
from servicegap.labelling.people import LOCAL, ROLES, Person, add_person, list_people, revoke
from servicegap.labelling.progress import progress_of_all
from servicegap.labelling.rounds import close_round, ensure_round, open_round
from servicegap.labelling.silent_gold import checked
from servicegap.web.access import allowed, text_of
from servicegap.web.annotating import in_words
from servicegap.web.following import read_flags, read_round_state
from servicegap.web.pages import render
from servicegap.web.site import site_of

PAGE = "/lead"
_LONGEST_NUMBER = 9


@allowed("lead")
def page(request: Request, person: Person) -> Response:
    """Show how the labelling goes."""
    return _show(request, person)


def _show(request: Request, person: Person, *, said: str = "", link: str | None = None) -> Response:
    site = site_of(request)
    study, store = site.study, site.store
    latest = ensure_round(study, store)
    codebook = site.codebook
    return render(
        request,
        "lead.html.j2",
        said=said,
        link=link,
        round=latest,
        state=read_round_state(store, latest),
        looks=site.looks.read(study, store, latest),
        judged=len(unsettled_disagreements(study, store)),
        people=list_people(store),
        progress=progress_of_all(study, store, at=time.time()),
        checked=checked(store, latest.id),
        agreed=site.agreement.read(study, store),
        flags=read_flags(study, store),
        labels={category.id: category.label for category in codebook.categories},
        in_words=in_words,
        roles=ROLES,
        alone=LOCAL,
    )


@allowed("lead")
def new_round(request: Request, _person: Person) -> Response:
    """Close the round and open the next, if the page that asks shows the latest."""
    site = site_of(request)
    latest = ensure_round(site.study, site.store)
    # So that a form that is sent twice opens one round.
    if text_of(request, "round") != str(latest.id):
        raise InputError(
            f"round {latest.id} is the latest by now; look at the page again: nothing was changed"
        )
    responses = None
    if text_of(request, "which") == "judged":
        responses = unsettled_disagreements(site.study, site.store)
        if not responses:
            raise InputError("There is nothing left that judges disagree on; nothing was changed.")
    open_round(site.study, site.store, responses=responses)
    return RedirectResponse(PAGE, 303)


@allowed("lead")
def end_round(request: Request, _person: Person) -> Response:
    """Close the round that the page shows; nobody is asked more until the next is opened."""
    number = text_of(request, "round")
    if not number.isdecimal() or len(number) > _LONGEST_NUMBER:
        raise InputError("The form did not say which round; nothing was changed.")
    close_round(site_of(request).store, int(number))
    return RedirectResponse(f"{PAGE}#round", 303)


@allowed("lead")
def let_in(request: Request, person: Person) -> Response:
    """Add a person and show their link, this once."""
    site = site_of(request)
    name, wanted = text_of(request, "name"), text_of(request, "role")
    role = next((role for role in ROLES if role == wanted), None)
    if role is None:
        raise InputError(f"role: {wanted!r} is unknown; allowed: {', '.join(ROLES)}")
    if not site.tokens:
        raise InputError("This server lets in whoever reaches it; add people with: servicegap people add")
    token = add_person(site.store, name, role)
    return _show(request, person, said=f"{name} is added.", link=f"{request.base_url}enter/{token}")


@allowed("lead")
def let_out(request: Request, person: Person) -> Response:
    """End a person's link."""
    name = text_of(request, "name")
    if name == person.name:
        raise InputError("You cannot end your own link here; another lead can.")
    revoke(site_of(request).store, name)
    return RedirectResponse(f"{PAGE}#people", 303)


routes = [
    Route(PAGE, page, methods=["GET"]),
    Route(f"{PAGE}/round", new_round, methods=["POST"]),
    Route(f"{PAGE}/close", end_round, methods=["POST"]),
    Route(f"{PAGE}/people/add", let_in, methods=["POST"]),
    Route(f"{PAGE}/people/revoke", let_out, methods=["POST"]),
]
