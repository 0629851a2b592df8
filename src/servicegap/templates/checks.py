"""Words of a template that could make it toxic by itself: found and reported, never removed.

Not a measure of toxicity: a lexicon knows words, not what a sentence says.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from servicegap.templates import BLANK, SLOT

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def flagged_words(text: str) -> list[str]:
    """Return the words of a template that the built-in lexicon lists.

    Parameters
    ----------
    text : str
        A template's text, not yet filled: the slot is passed over, so that no name can be flagged.

    Returns
    -------
    list of str
        In lower case and in the order of the text, each once; empty where the lexicon lists none, which does
        not prove the text harmless.

    Examples
    --------
    >>> flagged_words("{name} called the movie stupid, and the ending Stupid too, to [BLANK].")
    ['stupid']
    """
    own = text.replace(SLOT, " ").replace(BLANK, " ").casefold()
    return [word for word in dict.fromkeys(_WORD.findall(own)) if word in _lexicon()]


@functools.cache
def _lexicon() -> frozenset[str]:
    lines = Path(__file__).with_name("lexicon.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(word.casefold() for line in lines for word in line.partition("#")[0].split())
