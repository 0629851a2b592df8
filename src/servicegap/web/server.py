"""Start the server: which hosts it answers to, whether links are needed, and what it logs."""

from __future__ import annotations

import ipaddress
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import uvicorn

from servicegap.errors import InputError, StudyError
from servicegap.labelling.people import LOCAL, Person, list_people
from servicegap.study import Study
from servicegap.web.app import create_app

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SECONDS_TO_STOP = 5


@dataclass(frozen=True, slots=True)
class Access:
    """The host names that are answered to, and whether people need their links."""

    hosts: tuple[str, ...]
    tokens: bool


def plan_access(host: str, allowed: Sequence[str], people: Sequence[Person]) -> Access:
    """Decide who can reach the pages, and how.

    Parameters
    ----------
    host : str
        The address to listen on.
    allowed : sequence of str
        Further host names under which the server is reached, a proxy's for one.
    people : sequence of Person
        Those that the study has.

    Raises
    ------
    InputError
        If the host is all addresses and no name is allowed; if links are needed and nobody has one; if a
        name is none.
    """
    problems = [
        f"--allow-host: {name!r} is no host name; give it without scheme, port or *, as in label.example.org"
        for name in allowed
        if not name or set(name) & set("/*@ ") or (":" in name and not _is_address(name))
    ]
    everywhere = host in ("0.0.0.0", "::", "")
    if everywhere and not allowed:
        problems.append(
            f"--host {host}: listens on all addresses; say under which name people come: --allow-host NAME"
        )
    names = dict.fromkeys([*(() if everywhere else (host,)), *allowed, *LOOPBACK])
    present = [person for person in people if person.revoked is None and person.name != LOCAL]
    tokens = bool(present) or not set(names) <= set(LOOPBACK) or everywhere
    if tokens and not present:
        problems.append(
            f"--host {host}: others can reach this server, so people need links, and nobody has one; make "
            "the first with: servicegap people add DIR NAME --role lead"
        )
    if problems:
        raise InputError(*problems)
    return Access(tuple(names), tokens)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def serve(study: Study, *, host: str, port: int, allowed: Sequence[str], tell: Callable[[str], None]) -> None:
    """Serve a study's pages until interrupted.

    Parameters
    ----------
    study : Study
    host, port : str, int
        Where to listen; port 0 = any that is free.
    allowed : sequence of str
        Further host names under which the server is reached.
    tell : callable
        Is given the lines for whoever started it.

    Raises
    ------
    InputError
        As :func:`plan_access`.
    StudyError
        If the port cannot be had.
    """
    with closing(study.store()) as store:
        access = plan_access(host, allowed, list_people(store))
        app = create_app(study, store, hosts=access.hosts, tokens=access.tokens)
        with closing(_listen(host, port)) as listening:
            shown = f"[{host}]" if ":" in host else host
            tell(f"{study.folder}: http://{shown}:{listening.getsockname()[1]}/ (Ctrl-C stops it)")
            if access.tokens:
                tell("people come in by their links, /enter/... at this address or the one of your proxy")
            _log_to_stderr()
            # Its own log of requests would have the links' secrets in it; guards.py writes one without.
            config = uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_SECONDS_TO_STOP,
            )
            uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise StudyError(
            f"{host}:{port}: cannot listen there: {error.strerror or error}; try another --port"
        ) from error


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    for name, level in (("servicegap.web", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)
