"""Label one response after another: the page, and what its forms and keys do.

Every action is a form that works without a script and leads back to the page. With label.js the same forms
are sent in the background (``X-Requested-With: fetch``), and the answer is the next item alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast, get_args

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from servicegap.codebook import Codebook
from servicegap.errors import DataError
from servicegap.labelling.composition import QUALITY
from servicegap.labelling.people import Person
from servicegap.labelling.progress import pause_due, standing
from servicegap.labelling.record import flag, save_label, skip, undo
from servicegap.labelling.rounds import current_round
from servicegap.labelling.slots import Item, next_item
from servicegap.records import CATEGORIES, Category, Harm, Pass
from servicegap.web.access import allowed, form_of, text_of
from servicegap.web.pages import fragment, render
from servicegap.web.site import site_of

PAGE = "/label"
#: Longer than anyone works on one response; what a page claims beyond it is not believed.
MOST_SECONDS = 3600.0

#: What a form does: the item to show (None = the next one) and what to say.
Act = Callable[[Request, Person], tuple[Item | None, str]]


class MistakeError(ValueError):
    """A form that cannot be taken, in words for whoever sent it."""


@allowed("annotator", "adjudicator", "lead", ready=True)
def page(request: Request, person: Person) -> Response:
    """Show the item that this person is to label."""
    return _show(request, person)


def _action(act: Act) -> Any:
    @allowed("annotator", "adjudicator", "lead", ready=True)
    def endpoint(request: Request, person: Person) -> Response:
        status, item = 200, None
        try:
            item, said = act(request, person)
        except MistakeError as mistake:
            status, said = 400, str(mistake)
        except DataError as error:
            # Someone else holds the response by now, say: the page goes on with the next.
            status, said = 409, str(error)
        if status == 200 and not wants_fragment(request):
            return RedirectResponse(PAGE, 303)
        return _show(request, person, item=item, said=said, status=status)

    return endpoint


def wants_fragment(request: Request) -> bool:
    """Whether label.js asks, which puts the answer into the page that is there."""
    return request.headers.get("X-Requested-With") == "fetch"


def _show(
    request: Request, person: Person, *, item: Item | None = None, said: str = "", status: int = 200
) -> Response:
    site, now = site_of(request), time.time()
    pause = pause_due(site.study, site.store, person, at=now)
    if item is None and pause != "cap":
        item = next_item(site.study, site.store, person, at=now)
    there_is_a_round = item is not None or current_round(site.store) is not None
    heading, why = ("", "") if item else _nothing_left(pause, there_is_a_round)
    far = standing(site.study, site.store, person, at=now)
    codebook = site.codebook
    shown = {
        "item": item,
        "said": said,
        "pause": pause,
        "may_undo": there_is_a_round,
        "heading": heading,
        "why": why,
        "progress": far,
        "time_left": None if far.seconds_left is None else in_words(far.seconds_left),
        "codebook": codebook,
        "categories": [text for text in codebook.categories if item and text.id in _allowed(item.pass_)],
        "questions": {question.id: question for question in codebook.path},
        "labels": {text.id: text.label for text in codebook.categories},
    }
    if wants_fragment(request):
        return HTMLResponse(fragment("_item.html.j2", **shown), status)
    return render(request, "label.html.j2", status=status, **shown)


def in_words(seconds: float) -> str:
    """Return a time as people say it.

    Examples
    --------
    >>> in_words(40), in_words(700), in_words(9000)
    ('a minute', '12 minutes', '2.5 hours')
    """
    minutes = round(seconds / 60)
    if minutes >= 90:
        return f"{minutes / 60:.1f} hours"
    return f"{minutes} minutes" if minutes > 1 else "a minute"


def _nothing_left(pause: str | None, there_is_a_round: bool) -> tuple[str, str]:
    if pause == "cap":
        return "Enough for today", "You have reached the number of responses for one day. Thank you."
    if not there_is_a_round:
        return "No round is open", "There is nothing to label until the lead opens a round."
    return (
        "Nothing left for you",
        "All that you can label in this round is labelled or with others. Thank you.",
    )


def _allowed(pass_: Pass) -> tuple[Category, ...]:
    return {"whole": CATEGORIES, "quality": QUALITY, "harm": ()}[pass_]


def _which(request: Request) -> tuple[str, Pass]:
    response, pass_ = text_of(request, "response"), text_of(request, "pass")
    if not response or pass_ not in get_args(Pass):
        raise MistakeError("The form did not say which response it is about; nothing was saved.")
    return response, cast(Pass, pass_)


def _seconds(request: Request) -> float | None:
    try:
        seconds = float(text_of(request, "active_seconds"))
    except ValueError:
        return None
    return seconds if 0 <= seconds <= MOST_SECONDS else None


def _save(request: Request, person: Person) -> tuple[Item | None, str]:
    site = site_of(request)
    response, pass_ = _which(request)
    label = _harm(request, site.codebook) if pass_ == "harm" else _category(request, pass_)
    seconds, now = _seconds(request), time.time()
    save_label(site.study, site.store, person, response, pass_, active_seconds=seconds, at=now, **label)
    return None, "Saved."


def _category(request: Request, pass_: Pass) -> dict[str, Any]:
    category = text_of(request, "category")
    if category not in _allowed(pass_):
        raise MistakeError("Pick one of the categories; nothing was saved.")
    return {"category": category}


def _harm(request: Request, codebook: Codebook) -> dict[str, Any]:
    harm = text_of(request, "harm")
    criteria = tuple(str(name) for name in form_of(request).getlist("criteria"))
    if harm not in get_args(Harm) or not set(criteria) <= {known.id for known in codebook.harm_criteria}:
        raise MistakeError("Say whether the response carries harm; nothing was saved.")
    if harm != "none" and not criteria:
        raise MistakeError("Say which of the criteria are met, one or more; nothing was saved.")
    return {"category": None, "harm": harm, "criteria": criteria if harm != "none" else ()}


def _undo(request: Request, person: Person) -> tuple[Item | None, str]:
    site = site_of(request)
    item = undo(site.study, site.store, person, at=time.time())
    return item, "The last label is taken back; label it anew." if item else "There is nothing to undo."


def _skip(request: Request, person: Person) -> tuple[Item | None, str]:
    site = site_of(request)
    response, pass_ = _which(request)
    reason = "declined" if text_of(request, "decline") else text_of(request, "reason")[:500]
    if not reason:
        raise MistakeError("Say why you skip it, or choose “Rather not”; nothing was changed.")
    skip(site.study, site.store, person, response, pass_, reason, at=time.time())
    return None, "Skipped; someone else will get it."


def _flag(request: Request, person: Person) -> tuple[Item | None, str]:
    response, _ = _which(request)
    note = text_of(request, "note")[:2000]
    if not note:
        raise MistakeError("Say what should be talked about; nothing was flagged.")
    flag(site_of(request).store, person, response, note)
    return None, "Flagged. Now label it as well as you can, or skip it."


_ACTS: dict[str, Act] = {"save": _save, "undo": _undo, "skip": _skip, "flag": _flag}
routes = [
    Route(PAGE, page),
    *(Route(f"{PAGE}/{name}", _action(act), methods=["POST"]) for name, act in _ACTS.items()),
]
