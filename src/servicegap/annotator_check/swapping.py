"""Whether an annotator's label hangs on the name: the name is swapped, everything else stays.

Not here: what the mask hides (annotators/masking.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from servicegap.annotators import SignalMask
from servicegap.records import Category

#: Responses that are tried; more are drawn from.
MOST_RESPONSES = 500

#: Judges a masked prompt and response of a template.
Judge = Callable[[str, str, str], Category | None]


@dataclass(frozen=True, slots=True)
class Swapped:
    """What changed when the name was swapped for one of another group.

    Attributes
    ----------
    n : int
        Responses tried.
    read_changed : float or None
        Share whose masked text, which is all that the annotator reads, changed (0 to 1).
    labels_changed : float or None
        Share whose label changed; None where the annotator was not asked again.
    note : str or None
    """

    n: int
    read_changed: float | None
    labels_changed: float | None
    note: str | None = None


def swap_names(
    texts: pl.DataFrame, mask: SignalMask, judge: Judge | None, rng: np.random.Generator
) -> Swapped:
    """Swap the names of responses for names of other groups, mask, and compare.

    Parameters
    ----------
    texts : polars.DataFrame
        ``template, signal, group, prompt, text``, not masked; rows without a group are passed over.
    mask : SignalMask
        Of the study's signals.
    judge : callable, optional
        The annotator; without it only what it would read is compared.
    rng : numpy Generator
        Draws responses and names.
    """
    named = texts.filter(pl.col("group").is_not_null())
    signals = named.select("signal", "group").unique().sort("signal")
    if signals["group"].n_unique() < 2:
        return Swapped(0, None, None, "there are no two groups to swap names between")
    if named.height > MOST_RESPONSES:
        named = named[np.sort(rng.choice(named.height, MOST_RESPONSES, replace=False)).tolist()]
    read = changed = 0
    for row in named.iter_rows(named=True):
        others = signals.filter(pl.col("group") != row["group"])["signal"]
        other = others[int(rng.integers(len(others)))]
        before, after = (
            (
                mask.apply(_swapped(row["prompt"], row["signal"], name)),
                mask.apply(_swapped(row["text"], row["signal"], name)),
            )
            for name in (row["signal"], other)
        )
        if before == after:
            continue
        read += 1
        if judge is not None:
            changed += judge(row["template"], *before) != judge(row["template"], *after)
    n = named.height
    if judge is not None:
        return Swapped(n, read / n, changed / n)
    note = (
        "not asked again: the same text gets the same label"
        if not read
        else ("not asked again; what it reads changed in these responses, so its label may too")
    )
    return Swapped(n, read / n, 0.0 if not read else None, note)


def _swapped(text: str, name: str, other: str) -> str:
    """Write `other` wherever `name` stands as a word, in whatever case."""
    return re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", lambda _: other, text, flags=re.IGNORECASE)
