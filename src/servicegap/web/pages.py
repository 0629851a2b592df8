"""From a template and what it shows to a page.

Whatever a template is given is escaped; texts of models and people go through ``visible`` as well, which
shows the characters that hide.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from servicegap.labelling.people import ROLES, Role
from servicegap.visible import visible_html
from servicegap.web.site import site_of


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the navigation, and the roles that see it."""

    path: str
    label: str
    roles: tuple[Role, ...]


ENTRIES = (
    Entry("/", "Start", ROLES),
    Entry("/practice", "Practise", ROLES),
    Entry("/label", "Label", ROLES),
    Entry("/adjudicate", "Adjudicate", ("adjudicator", "lead")),
    Entry("/guidelines", "Guidelines", ROLES),
    Entry("/lead", "Follow", ("lead",)),
    Entry("/results", "Results", ("lead",)),
)


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("servicegap.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = visible_html
    environment.filters["words"] = lambda category: str(category).replace("_", " ")
    return environment


def fragment(name: str, **context: object) -> str:
    """Return a template without the page around it, for scripts that put it into one."""
    return _templates().get_template(name).render(context)


def render(request: Request, name: str, *, status: int = 200, **context: object) -> HTMLResponse:
    """Return a page.

    Parameters
    ----------
    request : Request
        What is answered; the page's header shows who asked (``request.state.person``) and where they are.
    name : str
        The template, such as ``label.html.j2``; it extends ``base.html.j2``.
    status : int
        The status of the response.
    **context
        What the template shows.
    """
    person = getattr(request.state, "person", None)
    site = site_of(request)
    page = _templates().get_template(name)
    shown = {
        "person": person,
        "tokens": site.tokens,
        "study": site.study.plan.title or site.study.folder.resolve().name,
        "navigation": [entry for entry in ENTRIES if person and person.role in entry.roles],
        "here": _entry_of(request.url.path),
    }
    return HTMLResponse(page.render(shown | context), status)


def _entry_of(path: str) -> str:
    """Return the path of the entry that a page belongs to."""
    return "/" + path.split("/")[1]
