"""Models under audit: what one is (protocol.py), and the kinds there are.

``openai:NAME`` is any OpenAI-compatible server (openai.py), ``local:NAME`` and ``local:PATH.gguf`` a
model on this machine (local.py), ``fake:NAME`` a scripted one with a known gap (fake.py). Each kind is
imported when it is asked for.
"""

from __future__ import annotations

from servicegap.errors import InputError
from servicegap.models.protocol import CallError, Model, Reply, Request

__all__ = ["CallError", "Model", "Reply", "Request", "check_model", "create_model"]

_ALLOWED = "allowed: openai:NAME, local:NAME, local:PATH.gguf, fake:even, fake:uneven"
_DEFAULT_CONNECTIONS = 50
_DEFAULT_CONTEXT = 1024


def create_model(
    spec: str,
    *,
    base_url: str | None = None,
    concurrency: int | None = None,
    key_variable: str | None = None,
    context: int = _DEFAULT_CONTEXT,
) -> Model:
    """Return the model that a text names; nothing is opened, fetched or started yet.

    Parameters
    ----------
    spec : str
        ``openai:NAME``, ``local:NAME``, ``local:PATH.gguf`` or ``fake:NAME``.
    base_url : str, optional
        The server of an ``openai:`` model, up to and without ``/chat/completions``; by default OpenAI's.
    concurrency : int, optional
        How many calls are in flight at once; by default what the kind of model serves best.
    key_variable : str, optional
        The environment variable that holds the key of an ``openai:`` model's server; by default
        SERVICEGAP_API_KEY, then OPENAI_API_KEY.
    context : int
        How many tokens prompt and answer of one call to a ``local:`` model may take together; other models
        know their own limit.

    Raises
    ------
    InputError
        If the text names no model, the base URL cannot be used, or a key is missing.

    Examples
    --------
    >>> create_model("fake:uneven").id
    'fake:uneven'
    """
    problems = _problems(spec, base_url)
    if concurrency is not None and concurrency < 1:
        problems.append(f"concurrency {concurrency} is too low; allowed: 1 or more")
    if problems:
        raise InputError(*problems)
    kind, _, name = spec.partition(":")
    if kind == "openai":
        # Imported here, so that listing, analysing and reporting load no HTTP client.
        from servicegap.models.openai import OpenAIModel  # noqa: PLC0415

        connections = concurrency or _DEFAULT_CONNECTIONS
        return OpenAIModel(name, base_url=base_url, connections=connections, key_variable=key_variable)
    return _create_here(kind, name, concurrency, context)


def check_model(spec: str, *, base_url: str | None = None) -> None:
    """See that a text names a model; that it can be asked now (with a key, say) is not needed.

    Raises
    ------
    InputError
        If it names none, or the base URL cannot be used.
    """
    if problems := _problems(spec, base_url):
        raise InputError(*problems)
    kind, _, name = spec.partition(":")
    if kind != "openai":
        _create_here(kind, name, None, _DEFAULT_CONTEXT)
    elif base_url is not None:
        from servicegap.models.openai import parse_base_url  # noqa: PLC0415

        parse_base_url(base_url)


def _problems(spec: str, base_url: str | None) -> list[str]:
    kind, _, name = spec.partition(":")
    problems = []
    if kind == "imported":
        problems.append(f"model {spec!r} cannot be asked, its responses were imported; {_ALLOWED}")
    elif kind not in {"openai", "local", "fake"} or not name:
        problems.append(f"model {spec!r} names no model; {_ALLOWED}")
    elif base_url is not None and kind != "openai":
        problems.append(f"model {spec!r} takes no base URL; only openai:NAME models have a server's address")
    return problems


def _create_here(kind: str, name: str, concurrency: int | None, context: int) -> Model:
    """Return a model of this machine: local or pretended."""
    if kind == "local":
        from servicegap.models.local import LocalModel  # noqa: PLC0415

        return LocalModel(name, concurrency=concurrency, context=context)
    from servicegap.models.fake import create_fake  # noqa: PLC0415

    return create_fake(name, concurrency=concurrency or _DEFAULT_CONNECTIONS)
