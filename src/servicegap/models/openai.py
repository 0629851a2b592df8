"""Any server that speaks OpenAI's protocol, through one aiohttp session.

Not here: what the JSON means (wire.py, failures.py), retries, timeouts and storage (the collector's).
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from servicegap.errors import InputError, ModelError
from servicegap.models.failures import one_line
from servicegap.models.protocol import CallError, Reply, Request
from servicegap.models.secret import json_without_key, without_key
from servicegap.models.wire import read_reply, request_body

DEFAULT_BASE_URL = "https://api.openai.com/v1"
KEY_VARIABLES = ("SERVICEGAP_API_KEY", "OPENAI_API_KEY")
_CONNECT_SECONDS = 10.0
_INTRODUCTION_SECONDS = 1.0
#: A field's words: api_key, API-Key, accessToken.
_WORD = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
#: Last words of fields whose value is a secret, and such fields in one word: access-token, apikey, sig.
_SECRET_WORD = re.compile(
    "(access|account|api|app|auth|client|function|master|private|secret|service|session|subscription|user)*"
    "(key|token|secret|sig|signature|password)"
)
#: The key's field at hosts of functions; with a word before it, it is a country's or a language's.
_FUNCTION_KEY = "code"


class OpenAIModel:
    """A model behind an OpenAI-compatible server.

    Parameters
    ----------
    name : str
        The model's name at the server.
    base_url : str, optional
        What comes before ``/chat/completions``; by default OpenAI's service. A query (such as Azure's
        ``?api-version=...``) is kept for the calls and left out of all that is shown.
    connections : int
        How many connections are held; also the number of calls in flight that is proposed.
    key : str, optional
        The key, for a server that this process started itself. Users' keys come from the environment:
        SERVICEGAP_API_KEY, then OPENAI_API_KEY. It is never stored, logged or shown, and hidden where the
        server repeats it.
    key_variable : str, optional
        The environment variable that holds the key, in place of those two: so that no server is sent
        another's key.

    Raises
    ------
    InputError
        If the base URL cannot be used, a server that is not on this machine has no key, or `key_variable` is
        not set.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        connections: int = 50,
        key: str | None = None,
        key_variable: str | None = None,
    ) -> None:
        self.id = f"openai:{name}"
        self.name = name
        self.concurrency = connections
        self._base = parse_base_url(base_url or DEFAULT_BASE_URL)
        self._key_source = "the process itself" if key else None
        self._key = key or self._key_from_environment(key_variable)
        self._urls = {
            "chat": _below(self._base, "chat/completions"),
            "completion": _below(self._base, "completions"),
        }
        self._session: aiohttp.ClientSession | None = None
        self._tokens_field = "max_tokens"
        self._answered = False

    def __repr__(self) -> str:
        return f"OpenAIModel({self.name!r}, base_url={self.shown_url!r})"

    @property
    def shown_url(self) -> str:
        """The base URL without its query, which may hold a secret."""
        return str(self._base.with_query(None))

    async def open(self) -> dict[str, Any]:
        """Open the connections; return what the server says of itself, as far as it answers quickly.

        Raises
        ------
        ModelError
            If nothing listens at the address.
        """
        await self.close()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self.concurrency, ttl_dns_cache=300),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            proxy=_proxy(self._base),
        )
        try:
            introduction = await self._introduction(self._session)
        except BaseException:
            await self.close()
            raise
        return {
            "backend": "openai",
            "name": self.name,
            "base_url": self.shown_url,
            "key_from": self._key_source,
            "client": f"aiohttp {aiohttp.__version__}",
            **introduction,
        }

    async def respond(self, request: Request) -> Reply:
        """Ask once.

        Raises
        ------
        CallError
            If no reply came; its kind says whether asking again can help.
        """
        field = self._tokens_field
        try:
            return await self._ask(request, field)
        except CallError as error:
            if field == "max_tokens" and "max_completion_tokens" in str(error):
                # OpenAI's newer models know the longest answer by this name alone.
                self._tokens_field = "max_completion_tokens"
                return await self._ask(request, self._tokens_field)
            raise

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, request: Request, tokens_field: str) -> Reply:
        if self._session is None:
            raise ModelError(f"{self.id} was asked before it was opened")
        # Wrapped here, aiohttp need not find out for each call what kind of body it is given.
        body = aiohttp.BytesPayload(request_body(self.name, request, tokens_field))
        try:
            async with self._session.post(
                self._urls[request.condition.mode], data=body, allow_redirects=False
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CallError("transport", self._broken(error)) from error
        reply = read_reply(
            response.status, response.headers, raw, request, key=self._key, answered=self._answered
        )
        self._answered = True
        return reply

    async def _introduction(self, session: aiohttp.ClientSession) -> dict[str, Any]:
        """Return what GET /models says, nothing where it says nothing within a second."""
        try:
            async with (
                asyncio.timeout(_INTRODUCTION_SECONDS),
                session.get(_below(self._base, "models"), allow_redirects=False) as response,
            ):
                raw = await response.read()
        except aiohttp.ClientConnectorError as error:
            raise ModelError(
                f"{self._broken(error)}; start the server, or check its base URL (base_url in study.yaml, "
                "or --base-url)"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError):
            return {}
        said: dict[str, Any] = {}
        if server := response.headers.get("Server"):
            said["server"] = without_key(server, self._key)
        if response.ok and (listed := _listed(raw, self.name)):
            said["server_model"] = json.loads(json_without_key(listed, self._key))
        return said

    def _broken(self, error: BaseException) -> str:
        """Return in one line how the connection failed."""
        why = one_line(str(error) or type(error).__name__, self._key)
        return f"no answer from {self.shown_url}: {why}"

    def _key_from_environment(self, only: str | None) -> str | None:
        for variable in (only,) if only else KEY_VARIABLES:
            if key := os.environ.get(variable, "").strip():
                if not (key.isascii() and key.isprintable()):
                    raise InputError(f"{variable} holds a character that no key has; set it anew")
                self._key_source = variable
                return key
        if only or not _is_loopback(self._base.host or ""):
            raise InputError(
                f"{self.shown_url} needs a key: set {only or KEY_VARIABLES[0]} in the environment "
                "(any word, if this server asks for none)"
            )
        return None


def parse_base_url(text: str) -> URL:
    """Return the base URL that `text` names.

    Raises
    ------
    InputError
        If it is no http(s) address, holds a user name or a key, or names one method of the API. The
        message shows nothing that may be secret.
    """
    try:
        url = URL(text)
    except ValueError:
        raise InputError("the base URL is no address; an example: http://127.0.0.1:8000/v1") from None
    if url.user is not None or url.password is not None:
        raise InputError(
            f"the base URL of {url.host} holds a user name or a key; "
            "leave it out and set SERVICEGAP_API_KEY in the environment"
        )
    for field in url.query:
        if _is_secret_field(field):
            raise InputError(
                f"the base URL holds a key in its query, {field}=...; "
                "leave it out and set SERVICEGAP_API_KEY in the environment"
            )
    if url.scheme not in {"http", "https"} or not url.host:
        raise InputError(
            f"base URL {text!r} is no http or https address; an example: http://127.0.0.1:8000/v1"
        )
    if url.path.rstrip("/").endswith("/completions"):
        raise InputError(
            f"base URL {str(url.with_query(None))!r} names one method; "
            "give what comes before /chat/completions, such as http://127.0.0.1:8000/v1"
        )
    return url.with_path(url.path.rstrip("/"), keep_query=True).with_fragment(None)


def _is_secret_field(field: str) -> bool:
    words = [word.lower() for word in _WORD.findall(field)]
    if not words:
        return False
    # Capitals may stand anywhere (APIkey), so the words count together too.
    joined = "".join(words)
    return joined == _FUNCTION_KEY or any(map(_SECRET_WORD.fullmatch, (words[-1], joined)))


def _below(base: URL, path: str) -> URL:
    return base.with_path(f"{base.path.rstrip('/')}/{path}", keep_query=True)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _proxy(base: URL) -> str | None:
    """Return the environment's proxy for this address; asked once, since asking costs CPU on each call."""
    host = base.host or ""
    if _is_loopback(host) or proxy_bypass(host):
        return None
    return getproxies().get(base.scheme)


def _listed(raw: bytes, name: str) -> dict[str, Any] | None:
    """Return the entry of this model in the server's list."""
    try:
        entries = json.loads(raw)["data"]
        return next((dict(entry) for entry in entries if entry.get("id") == name), None)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
