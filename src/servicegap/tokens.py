"""How evenly tokenizers split the signals: a name of many tokens is another input than one of a single token.

Not here: that a collection keeps the counts of the model it asked (collect.py).
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from servicegap.errors import ModelError
from servicegap.models.protocol import Model, TokenCounter
from servicegap.records import Signal

#: A signal of more than so many times the median number of tokens is reported.
UNEVEN_TOKENS = 2.0


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What is known before anything is asked: what to mend or to keep in mind, and what it was found with."""

    warnings: Sequence[str]
    notes: Sequence[str]


def uneven_tokens(model: str, tokens: Mapping[str, int]) -> list[str]:
    """Tell which signals the tokenizer of `model` splits very differently from the others.

    Parameters
    ----------
    model : str
        How the sentence names the model.
    tokens : mapping of str to int
        Into how many tokens each signal is split.

    Returns
    -------
    list of str
        One sentence, or none.

    Examples
    --------
    >>> uneven_tokens("local:m", {"Ann": 1, "Bo": 1, "Mwajuma": 4})[0].split(": ")[1]
    'Mwajuma 4; a difference between these names may be one of spelling'
    """
    usual = statistics.median(tokens.values()) if tokens else 0
    uneven = {signal: n for signal, n in tokens.items() if n > UNEVEN_TOKENS * usual}
    if not uneven:
        return []
    listed = ", ".join(f"{signal} {n}" for signal, n in sorted(uneven.items()))
    return [
        f"{model} splits some names into many more tokens than the median ({usual:g}): "
        f"{listed}; a difference between these names may be one of spelling"
    ]


def foresee_uneven_tokens(models: Mapping[str, Model | None], signals: Sequence[Signal]) -> Foreseen:
    """Say how evenly the models will split the signals, as far as that can be known without a download.

    A local model whose file is on this machine is loaded and counts them. Of other models only this can be
    said: letters beyond ASCII take two to four bytes each, and most tokenizers split them finely.

    Parameters
    ----------
    models : mapping of str to Model or None
        By id; None = nothing that could count is here.
    signals : sequence of Signal
    """
    texts = [signal.text for signal in signals]
    warnings, notes, unknown = [], [], []
    for name, model in models.items():
        try:
            tokens = asyncio.run(_counted(model, texts))
        except ModelError:  # xllamacpp is not installed, say: the collection will tell
            tokens = None
        if tokens is None:
            unknown.append(name)
            continue
        warnings += uneven_tokens(name, tokens)
        least, most = min(tokens.values()), max(tokens.values())
        notes.append(f"names counted with the tokenizer of {name}: {least} to {most} tokens each")
    if unknown:
        notes.append(f"no tokenizer could be asked here: {', '.join(unknown)}")
        if beyond := [text for text in texts if not text.isascii()]:
            warnings.append(
                "names with letters beyond ASCII, which most tokenizers split more finely: "
                f"{', '.join(beyond)}; a difference between these and other names may be one of spelling"
            )
    return Foreseen(warnings, notes)


async def _counted(model: Model | None, texts: Sequence[str]) -> dict[str, int] | None:
    """Count tokens with the model's own tokenizer, None where it has none here."""
    if not isinstance(model, TokenCounter) or not model.on_disk:
        return None
    await model.open()
    try:
        return dict(zip(texts, await model.count_tokens(texts), strict=True))
    finally:
        await model.close()
