"""The study's current report, shown in a frame that can do nothing but be read."""

from __future__ import annotations

from datetime import UTC, datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from servicegap.labelling.people import Person
from servicegap.web.access import allowed
from servicegap.web.guards import POLICY_WITH_FRAME
from servicegap.web.pages import render
from servicegap.web.site import site_of

# The report is one file with its styles inside, and nothing that runs.
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'; sandbox"
)


@allowed("lead")
def results(request: Request, _person: Person) -> Response:
    """Show the report, or how to make one."""
    path = site_of(request).study.report_path
    made = datetime.fromtimestamp(path.stat().st_mtime, UTC) if path.is_file() else None
    page = render(request, "results.html.j2", made=made and f"{made:%Y-%m-%d %H:%M} UTC")
    page.headers["Content-Security-Policy"] = POLICY_WITH_FRAME
    return page


@allowed("lead")
def report(request: Request, _person: Person) -> Response:
    """Send the report itself."""
    path = site_of(request).study.report_path
    if not path.is_file():
        raise HTTPException(404, "There is no report yet; make one with: servicegap report")
    headers = {"Content-Security-Policy": _REPORT_POLICY, "X-Frame-Options": "SAMEORIGIN"}
    return FileResponse(path, media_type="text/html", headers=headers)


routes = [Route("/results", results, methods=["GET"]), Route("/results/report", report, methods=["GET"])]
