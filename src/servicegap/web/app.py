"""All pages of a study put together into one application."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from servicegap.errors import DataError, InputError, ServicegapError
from servicegap.store import Store
from servicegap.study import Study
from servicegap.web import adjudicating, annotating, entering, guidelines, lead, practising, results, starting
from servicegap.web.access import COOKIE
from servicegap.web.guards import HEADERS, Headed, SameSite
from servicegap.web.pages import render
from servicegap.web.site import Site

LARGEST_REQUEST = 1_000_000
#: Requests that are worked on at once: each takes milliseconds, and more would only wait for one another.
THREADS = 8


def create_app(study: Study, store: Store, *, hosts: Collection[str], tokens: bool) -> Starlette:
    """Return the application that serves a study.

    Parameters
    ----------
    study, store : Study, Store
        The study and its open database; whoever opened it closes it.
    hosts : collection of str
        The host names under which it may be asked for, without ports; any other gets 400, so that no site
        that points its own name here can read the answers.
    tokens : bool
        Whether people come in by their secret links. Without, whoever reaches the server is its lead: only
        for one's own machine.
    """
    app = Starlette(
        routes=[
            *(route for part in _PARTS for route in part.routes),
            Mount("/static", StaticFiles(packages=[("servicegap.web", "static")])),
        ],
        middleware=[
            Middleware(Headed),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
            Middleware(SameSite),
            Middleware(RequestBodyLimitMiddleware, max_body_size=LARGEST_REQUEST),
        ],
        exception_handlers={
            HTTPException: _refused,
            ServicegapError: _mistaken,
            Exception: _failed,
        },
        lifespan=_lifespan,
    )
    app.state.site = Site(study, store, tokens)
    return app


_PARTS = (starting, entering, practising, annotating, adjudicating, guidelines, lead, results)


@contextlib.asynccontextmanager
async def _lifespan(_app: Starlette) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = _told(request, error.status_code, error.detail)
    answer.headers.update(error.headers or {})
    if error.status_code == 401 and COOKIE in request.cookies:
        answer.delete_cookie(COOKIE)
    return answer


async def _mistaken(request: Request, error: Exception) -> Response:
    status = 409 if isinstance(error, DataError) else 400 if type(error) is InputError else 503
    return _told(request, status, str(error))


async def _failed(request: Request, _error: Exception) -> Response:
    answer = _told(
        request, 500, "Something went wrong here; what was saved is kept. The server's log says more."
    )
    # Outside of what gives all other responses their headers.
    answer.headers.update(HEADERS)
    return answer


def _told(request: Request, status: int, problem: str) -> Response:
    """Say in one line what is wrong: to scripts as JSON, to people as a page."""
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"error": problem}, status)
    return render(request, "problem.html.j2", status=status, problem=problem, code=status)
