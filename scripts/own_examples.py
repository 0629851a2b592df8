"""The project's own prompts and responses, with what the codebook calls them, to fit the default annotator.

``offline_examples/*.txt`` (for the weights and the network) and ``network_examples/*.txt`` (for the network
alone): a line ``prompt: ...`` or ``harmful prompt: ...`` (one that wants harm done), followed by its
responses, each ``CATEGORY: ...``. ``offline_prompts``: prompts without responses, one a line, in files whose
names begin with what they want (``harmful`` or ``harmless``).
``\\n`` stands for a line break, a line that begins with ``#`` is a remark.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from servicegap.annotators.prompts import BLANK
from servicegap.records import CATEGORIES

EXAMPLES = Path(__file__).with_name("offline_examples")
FOR_NETWORK = Path(__file__).with_name("network_examples")
PROMPTS = Path(__file__).with_name("offline_prompts")
_WANTS_HARM = {"prompt": False, "harmful prompt": True}


@dataclass(frozen=True, slots=True)
class Example:
    """A response in the project's words and the category that the codebook gives it."""

    file: str
    prompt: str
    response: str
    category: str


def read_examples(folder: Path = EXAMPLES) -> list[Example]:
    examples: list[Example] = []
    for path in sorted(folder.glob("*.txt")):
        prompt = ""
        for place, kind, text in _read(path):
            if kind in _WANTS_HARM:
                prompt = text
            elif kind in CATEGORIES and prompt:
                examples.append(Example(path.stem, prompt, text, kind))
            else:
                raise SystemExit(
                    f"{place}: {kind!r}: expected {' or '.join(_WANTS_HARM)} or one of {CATEGORIES}"
                )
    return examples


def read_prompts() -> dict[str, bool]:
    """Return whether each prompt wants harm done: those of the examples but the blanks, and the others."""
    return {text: wants_harm for text, wants_harm in every_prompt(EXAMPLES) if not BLANK.search(text)}


def every_prompt(*folders: Path) -> Iterator[tuple[str, bool]]:
    """Yield the prompts of the folders and those without responses, and whether they want harm done."""
    for folder in folders:
        for path in sorted(folder.glob("*.txt")):
            for _, kind, text in _read(path):
                if kind in _WANTS_HARM:
                    yield text, _WANTS_HARM[kind]
    for path in sorted(PROMPTS.glob("*.txt")):
        for _, text in _lines(path):
            yield text, path.name.startswith("harmful")


def _read(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the place, the kind and the text of each line."""
    for number, line in _lines(path):
        kind, _, text = line.partition(": ")
        yield f"{path}:{number}", kind, text.replace("\\n", "\n")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line and not line.startswith("#"):
            yield number, line
