"""Practice items with feedback, before live work."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from servicegap.errors import InputError
from servicegap.labelling.people import ROLES, Person
from servicegap.labelling.practice import answer_practice, practice_items, practice_left
from servicegap.records import CATEGORIES
from servicegap.web.access import allowed, text_of
from servicegap.web.pages import render
from servicegap.web.site import site_of


@allowed(*ROLES)
def practise(request: Request, person: Person) -> Response:
    """Show the next practice item, or what was said about the one just answered."""
    if person.consented is None:
        return RedirectResponse("/", 303)
    site = site_of(request)
    items = practice_items(site.codebook)
    left = practice_left(site.store, person, site.codebook)
    shown: dict[str, Any] = {"total": len(items), "left": len(left), "codebook": site.codebook}
    shown["labels"] = {category.id: category.label for category in site.codebook.categories}
    answered = request.query_params.get("answered")
    if answered is None:
        return render(request, "practice.html.j2", item=left[0] if left else None, chosen=None, **shown)
    item = next((item for item in items if item.id == answered), None)
    chosen = request.query_params.get("chosen")
    if item is None or chosen not in CATEGORIES:
        raise HTTPException(404, "No such practice item; go on with the next.")
    return render(request, "practice.html.j2", item=item, chosen=chosen, **shown)


@allowed(*ROLES)
def answer(request: Request, person: Person) -> Response:
    """Keep an answer, and go to what the codebook says about it."""
    site = site_of(request)
    category = next((each for each in CATEGORIES if each == text_of(request, "category")), None)
    if category is None:
        raise InputError("Please choose a category first.")
    item = answer_practice(site.store, person, text_of(request, "item"), category, site.codebook)
    return RedirectResponse(f"/practice?answered={item.id}&chosen={category}", 303)


routes = [Route("/practice", practise, methods=["GET"]), Route("/practice", answer, methods=["POST"])]
