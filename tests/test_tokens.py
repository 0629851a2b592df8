"""What is said before a collection of how evenly tokenizers split the names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from conftest import Ended, SmallStudy

from servicegap.audit import foresee
from servicegap.models.protocol import Reply, Request
from servicegap.records import Signal
from servicegap.tokens import foresee_uneven_tokens, uneven_tokens

SIGNALS = [Signal(text, "A") for text in ("Ann", "Bo", "Cy", "Abdurrahman")]


class Letters:
    """A model whose tokens are three letters each."""

    id = "local:letters"
    concurrency = 1
    is_open = False

    def __init__(self, on_disk: bool = True) -> None:
        self.on_disk = on_disk

    async def open(self) -> dict[str, Any]:
        self.is_open = True
        return {}

    async def respond(self, request: Request) -> Reply:
        raise AssertionError(request)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        assert self.is_open
        return [-(-len(text) // 3) for text in texts]

    async def close(self) -> None:
        self.is_open = False


def test_a_model_that_is_here_counts_and_is_named() -> None:
    model = Letters()
    found = foresee_uneven_tokens({model.id: model}, SIGNALS)
    assert found.notes == ["names counted with the tokenizer of local:letters: 1 to 4 tokens each"]
    [warning] = found.warnings
    assert (
        "local:letters splits some names into many more tokens than the median (1): Abdurrahman 4" in warning
    )
    assert not model.is_open


def test_a_model_that_is_not_here_is_not_fetched_and_only_the_letters_are_told() -> None:
    model = Letters(on_disk=False)
    names = [*SIGNALS, Signal("Zoë", "B")]
    found = foresee_uneven_tokens({model.id: model, "openai:x": None}, names)
    assert found.notes == ["no tokenizer could be asked here: local:letters, openai:x"]
    assert [warning.split(": ")[1].split(";")[0] for warning in found.warnings] == ["Zoë"]
    assert foresee_uneven_tokens({"openai:x": None}, SIGNALS).warnings == []


def test_even_counts_are_no_warning() -> None:
    assert uneven_tokens("m", {"Ann": 2, "Bo": 3, "Cy": 4}) == []
    assert uneven_tokens("m", {}) == []


def test_design_needs_no_key_and_no_file_for_it(small: SmallStudy, run: Callable[..., Ended]) -> None:
    small.change("study.yaml", "http://127.0.0.1:9/v1", "https://far.invalid/v1\n  - id: local:gone.gguf")
    assert foresee(small.open(), small.design(small.open().store())).notes == [
        "no tokenizer could be asked here: openai:mock-1, local:gone.gguf"
    ]
    ended = run("design", small.folder)
    assert ended.code == 0
    assert "note: no tokenizer could be asked here: openai:mock-1" in ended.out
