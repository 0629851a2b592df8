"""Which requests are let through, and what every response forbids the browser.

Pure ASGI middleware around the pages. Host names and the size of a request are checked by Starlette's own.
Not here: who asks and what they may (access.py).
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("servicegap.web")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; {}"
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
POLICY = _POLICY.format("")
#: For the one page that shows another of this server's in a frame.
POLICY_WITH_FRAME = _POLICY.format("frame-src 'self'; ")

#: What a response gets unless the page set its own.
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    # Not no-referrer: browsers would then send "Origin: null" with the pages' own forms.
    "Referrer-Policy": "same-origin",
}


class Headed:
    """Gives every response the headers above, and writes one line about it to the log.

    The line has no query, no names, no addresses, and no link's secret.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                took = (time.perf_counter() - began) * 1000
                LOG.info("%s %s %d %.0f ms", scope["method"], _place(scope), message["status"], took)
            await send(message)

        await self.app(scope, receive, send_with_headers)


def _place(scope: Scope) -> str:
    """Return the path for the log: what follows the first part may be secret, or somebody's own words."""
    first, *rest = scope["path"].removeprefix("/").split("/")
    plain = first.isascii() and first.isalnum() and len(first) <= 20
    known = first if plain or not first else "..."
    return f"/{known}" + ("/..." if rest else "")


class SameSite:
    """Refuses what another site's page sends in a person's name.

    Every unsafe method needs a browser's word that it comes from this site: ``Sec-Fetch-Site: same-origin``,
    or, where it is not sent (plain HTTP), an ``Origin`` that is this host. A request with neither header is
    refused too: every browser of the last years sends one of them with a form.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS and not _from_here(scope):
            refused = PlainTextResponse("Refused: this was not sent from a page of this server.", 403)
            await refused(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _from_here(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    try:
        origin = urlsplit(headers.get("origin", ""))
    except ValueError:
        return False
    # The scheme may differ where a proxy in front does the encryption.
    return origin.scheme in ("http", "https") and origin.netloc == headers.get("host")


class Attempts:
    """Counts failures of each address within a time, so that secrets cannot be tried out.

    Parameters
    ----------
    most : int
        Failures of one address allowed within `seconds`.
    seconds : float
        The time that is looked back upon.
    addresses : int
        How many addresses are remembered; the one that failed longest ago is forgotten first.
    clock : callable
        Gives the time in seconds.
    """

    def __init__(
        self,
        most: int = 20,
        seconds: float = 60,
        addresses: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._addresses = addresses
        self._clock = clock
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def too_many(self, address: str) -> bool:
        """Whether this address may not try again for now."""
        times = self._failed.get(address)
        if times is None or len(times) < self._most:
            return False
        return self._clock() - times[0] < self._seconds

    def note_failure(self, address: str) -> None:
        """Count one."""
        times = self._failed.pop(address, deque(maxlen=self._most))
        times.append(self._clock())
        self._failed[address] = times
        if len(self._failed) > self._addresses:
            self._failed.popitem(last=False)
