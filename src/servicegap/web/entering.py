"""Coming in by one's secret link, and leaving."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from servicegap.labelling.slots import give_back
from servicegap.web.access import COOKIE, person_with
from servicegap.web.pages import render
from servicegap.web.site import site_of

_HALF_A_YEAR = 60 * 60 * 24 * 183


def _enter(request: Request) -> Response:
    if not site_of(request).tokens:
        return RedirectResponse("/", 303)
    token = request.path_params["token"]
    person = person_with(request, token)
    if person is None:
        raise HTTPException(
            404, "This link lets nobody in (any more); ask who leads the study for a new one."
        )
    request.state.person = person
    page = render(request, "entering.html.j2")
    page.set_cookie(
        COOKIE,
        token,
        max_age=_HALF_A_YEAR,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    # A page that goes on by itself and not a redirect: after a redirect that began in somebody's mail,
    # browsers hold a strict cookie back. The address with the secret is replaced, and told to nobody.
    page.headers["Refresh"] = "0; url=/"
    page.headers["Referrer-Policy"] = "no-referrer"
    return page


async def enter(request: Request) -> Response:
    """Let the person of a link in."""
    return await run_in_threadpool(_enter, request)


def _leave(request: Request) -> Response:
    token = request.cookies.get(COOKIE)
    if token and (person := person_with(request, token)) is not None:
        give_back(site_of(request).store, person)
    response = RedirectResponse("/", 303)
    response.delete_cookie(COOKIE)
    return response


async def leave(request: Request) -> Response:
    """Forget on this device who came in, and let others have what they held; the link works again."""
    return await run_in_threadpool(_leave, request)


routes = [Route("/enter/{token}", enter, methods=["GET"]), Route("/leave", leave, methods=["POST"])]
