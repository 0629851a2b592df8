"""The codebook to read and print, and its decision path, a question to a page."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from servicegap.labelling.people import ROLES, Person
from servicegap.labelling.rounds import current_round
from servicegap.labelling.silent_gold import cases_of
from servicegap.web.access import allowed
from servicegap.web.pages import render
from servicegap.web.site import Site, site_of


@allowed(*ROLES)
def read(request: Request, person: Person) -> Response:
    """Show the whole codebook; to those who label, without the cases that they may be asked about."""
    site = site_of(request)
    codebook = site.codebook
    hidden = cases_of(codebook) if person.role != "lead" and _asks_cases(site) else {}
    ends = {category.id: category.label for category in codebook.categories}
    numbers = {question.id: number for number, question in enumerate(codebook.path, 1)}
    return render(
        request,
        "guidelines.html.j2",
        codebook=codebook,
        ends=ends,
        numbers=numbers,
        hidden=list(hidden.values()),
    )


def _asks_cases(site: Site) -> bool:
    """Whether silent gold is in use, or will be in the next round."""
    now_open = current_round(site.store)
    plans = (site.study.plan.labelling, *([now_open.plan] if now_open else []))
    return any(plan.silent_gold for plan in plans)


@allowed(*ROLES)
def walk(request: Request, _person: Person) -> Response:
    """Show one question of the decision path, or the category that it ends in."""
    codebook = site_of(request).codebook
    step = request.path_params.get("step", codebook.path[0].id)
    question = next((each for each in codebook.path if each.id == step), None)
    end = next((each for each in codebook.categories if each.id == step), None)
    if question is None and end is None:
        raise HTTPException(
            404, "The decision path has no such question; start it again from the guidelines."
        )
    return render(request, "path.html.j2", codebook=codebook, question=question, end=end)


routes = [
    Route("/guidelines", read, methods=["GET"]),
    Route("/guidelines/path", walk, methods=["GET"]),
    Route("/guidelines/path/{step}", walk, methods=["GET"]),
]
