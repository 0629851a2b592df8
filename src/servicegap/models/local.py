"""A model on this machine: llama.cpp's server in the process, asked through openai.py.

Not here: where the file comes from (weights.py, fetch.py).
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import os
import secrets
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp

from servicegap.errors import InputError, ModelError
from servicegap.models.gguf import Header, read_header
from servicegap.models.openai import OpenAIModel
from servicegap.models.protocol import CallError, Reply, Request
from servicegap.models.weights import find_weights, known_weights, sha256_of

#: Calls computed together. More bring little on a processor, and cost memory.
SLOTS = 8
#: Threads beyond these bring little to models as small as these.
MOST_THREADS = 4
#: Sampling that llama.cpp applies where a request is silent, as its server lists it.
_SAMPLING = [
    *("temperature", "top_k", "top_p", "min_p", "typical_p", "top_n_sigma", "xtc_probability"),
    *("repeat_penalty", "presence_penalty", "frequency_penalty", "dry_multiplier", "mirostat"),
    *("dynatemp_range", "samplers"),
]


class LocalModel:
    """A GGUF file run by llama.cpp in this process, on a free port of the loopback.

    Calls in flight are computed together: much faster than one by one, but the sums are then done in
    another order from run to run, so that with some files a repeat with the same seed may word an answer
    differently. One call at a time (``concurrency: 1``) repeats exactly.

    Parameters
    ----------
    name : str
        A known model, such as ``smollm2-135m``, or the path of a GGUF file.
    concurrency : int, optional
        Calls computed together; 8 by default.
    context : int
        Tokens that prompt and answer of one call may take together.

    Raises
    ------
    InputError
        If no known model has this name, or no file this path.
    """

    def __init__(self, name: str, *, concurrency: int | None = None, context: int = 1024) -> None:
        self.id = f"local:{name}"
        self.concurrency = concurrency or SLOTS
        if not is_path(name):
            known_weights(name)
        elif not Path(name).expanduser().exists():
            raise InputError(
                f"model {self.id!r}: there is no such file; give the path of a GGUF file, or a name that "
                "`servicegap models list` shows"
            )
        self._name = name
        self._context = context
        self._header: Header | None = None
        self._threads = 1
        self._server: Any = None
        self._key = secrets.token_urlsafe()  # so that no web page or other user can ask this server
        self._client: OpenAIModel | None = None

    @property
    def on_disk(self) -> bool:
        """Whether the file is on this machine already, so that opening fetches nothing."""
        return is_path(self._name) or known_weights(self._name).path.is_file()

    async def open(self) -> dict[str, Any]:
        """Fetch the file if need be, start the server, and return what is known of the model.

        Raises
        ------
        ModelError
            If xllamacpp is not installed or cannot load the file.
        WeightsError
            If the file is absent, is no GGUF file, or cannot be fetched.
        """
        self._threads = _make_threads_wait_quietly()
        xllamacpp = _xllamacpp()
        path = await self._find()
        self._header = await asyncio.to_thread(read_header, path)
        digest = await asyncio.to_thread(sha256_of, path)
        self._server = await asyncio.to_thread(self._start, xllamacpp, path)
        try:
            self._client = OpenAIModel(
                path.name, base_url=f"{self._address}/v1", connections=self.concurrency, key=self._key
            )
            introduction = await self._client.open()
            properties = await self._get("props")
        except BaseException:
            await self.close()
            raise
        defaults = properties.get("default_generation_settings", {}).get("params", {})
        template = self._header.chat_template
        return {
            "backend": "local",
            "file": path.name,
            "size": path.stat().st_size,
            "sha256": digest,
            "quantisation": properties.get("model_ftype"),
            "architecture": self._header.architecture,
            "model_name": self._header.name,
            "parameters": introduction.get("server_model", {}).get("meta", {}).get("n_params"),
            "chat_template": template,
            "chat_template_sha256": hashlib.sha256(template.encode()).hexdigest() if template else None,
            "context": self._context,
            "slots": self.concurrency,
            "threads": self._threads,
            "server_defaults": {key: _rounded(defaults[key]) for key in _SAMPLING if key in defaults},
            "xllamacpp": xllamacpp.__version__,
            "build": xllamacpp.BUILD_INFO,
            "cpu": xllamacpp.get_system_info().strip(" |"),
        }

    async def respond(self, request: Request) -> Reply:
        """Ask once.

        Raises
        ------
        CallError
            If no reply came; its kind says whether asking again can help.
        """
        if self._client is None or self._header is None:
            raise ModelError(f"{self.id} was asked before it was opened")
        if request.condition.mode == "chat" and self._header.chat_template is None:
            # llama.cpp would put another model's template in its place, silently.
            raise CallError(
                "rejected",
                f"{self.id} is a base model without a chat template: set mode: completion in the condition",
                stop=True,
            )
        return await self._client.respond(request)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return into how many tokens the model splits each text.

        Parameters
        ----------
        texts : sequence of str
            Names, for instance; each by itself, without the marks that begin a prompt.

        Returns
        -------
        list of int
            One count for each text, in order.
        """
        async with self._session() as session:
            counts = []
            for text in texts:
                body = {"content": text, "add_special": False}
                async with session.post("/tokenize", json=body) as response:
                    response.raise_for_status()
                    counts.append(len((await response.json())["tokens"]))
            return counts

    async def close(self) -> None:
        """Stop the server; calls in flight are given up."""
        if self._client is not None:
            await self._client.close()
            self._client = None
        # The last reference: llama.cpp's threads end before this returns.
        self._server = None

    async def _find(self) -> Path:
        if is_path(self._name):
            return Path(self._name).expanduser()
        stop = threading.Event()
        try:
            return await asyncio.to_thread(find_weights, self._name, stop=stop)
        except asyncio.CancelledError:
            stop.set()
            raise

    def _start(self, xllamacpp: ModuleType, path: Path) -> Any:
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.model_alias = {path.name}
        params.cpuparams.n_threads = self._threads
        params.cpuparams_batch.n_threads = self._threads
        params.n_parallel = self.concurrency
        params.n_ctx = self.concurrency * self._context
        params.cont_batching = True
        params.cache_ram_mib = 0  # else up to 8 GB of old prompts are kept
        params.n_ctx_checkpoints = 0
        params.port = 0
        params.api_keys = [self._key]
        params.offline = True
        params.ui = False
        params.verbosity = 0
        try:
            return xllamacpp.Server(params)
        except RuntimeError as error:
            raise ModelError(
                f"{path}: llama.cpp (xllamacpp {xllamacpp.__version__}) cannot load it; the file is damaged, "
                "of a newer kind of model, or too large for this machine's memory"
            ) from error

    @property
    def _address(self) -> str:
        if self._server is None:
            raise ModelError(f"{self.id} was asked before it was opened")
        return str(self._server.listening_address)

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(self._address, headers={"Authorization": f"Bearer {self._key}"})

    async def _get(self, path: str) -> dict[str, Any]:
        async with self._session() as session, session.get(f"/{path}") as response:
            response.raise_for_status()
            return dict(await response.json())


def is_path(name: str) -> bool:
    """Return whether what follows ``local:`` is the path of a file, not a known model's name."""
    return name.endswith(".gguf") or "/" in name or "\\" in name


def _make_threads_wait_quietly() -> int:
    """Return how many threads to compute with, having told OpenMP to let them sleep while they wait.

    OpenMP's threads spin by default: on cores that are not all free, 50 tokens a second become 4. Its
    library reads these variables once, when it is loaded; if that has happened without them, or on a
    system whose wheel does not use it, one thread is the safe choice.
    """
    quiet = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
    if not sys.platform.startswith("linux"):
        return 1
    if "xllamacpp" in sys.modules and any(os.environ.get(key) != value for key, value in quiet.items()):
        return 1
    os.environ.update(quiet)
    return min(MOST_THREADS, len(os.sched_getaffinity(0)))


def _xllamacpp() -> ModuleType:
    try:
        return importlib.import_module("xllamacpp")
    except ModuleNotFoundError as error:
        raise ModelError("local models need xllamacpp: pip install 'servicegap[local]'") from error
    except ImportError as error:
        # The wheel uses the system's OpenMP library, which small containers lack.
        raise ModelError(
            f"xllamacpp cannot be loaded ({error}); install the library it names, such as libgomp1"
        ) from error


def _rounded(value: object) -> object:
    """Return a single-precision value as the person wrote it: 0.95, not 0.949999988079071."""
    return round(value, 6) if isinstance(value, float) else value
