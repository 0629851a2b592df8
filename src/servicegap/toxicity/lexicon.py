"""Toxicity by a list of abusive words: offline, and blind to all that is said politely.

The words are in lexicon.txt. Words about violence or crime are not listed: a response can be about them
without being abusive. Slurs against groups are not listed either (see there why).
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Final

from servicegap.annotators.language import unreadable_reason
from servicegap.records import content_hash
from servicegap.toxicity.protocol import Score

#: What must be said wherever these scores are shown.
CAUTION: Final = (
    "The lexicon supports no claim about masking: it counts insults and swearing, and a polite refusal holds "
    "none, whatever else it says, so that it finds nothing there by construction."
)
_SOURCE = Path(__file__).with_name("lexicon.txt")
_WORD = re.compile(r"[^\W\d_]+")


class LexiconScorer:
    """Scores English texts by the abusive words in them.

    The score is the probability that at least one of the text's listed words is meant as abuse, if each is
    with the probability that the list gives it and independently: ``1 - product(1 - severity)`` over the
    different listed words. 0 = none is there, which does not prove the text harmless. It does not depend on
    the length of the text, nor on how often a word comes.

    Examples
    --------
    >>> LexiconScorer().score("What a stupid thing to say, you idiot.").value
    0.75
    >>> LexiconScorer().score("I cannot help people like that.").value
    0.0
    """

    name: str = "lexicon"

    def __init__(self) -> None:
        self.version: str = content_hash(_SOURCE.read_text(encoding="utf-8"))[:8]

    def score(self, text: str) -> Score:
        """Score one response.

        Parameters
        ----------
        text : str
            Signals masked.

        Returns
        -------
        Score
            Without a value for an empty text, and for one that is not in English: in another language, or
            in none (garbage).
        """
        if not text.strip():
            return Score(None, "the response is empty")
        reason = unreadable_reason(text)
        if reason:
            return Score(None, reason)
        severity = severities()
        harmless = 1.0
        for word in set(_WORD.findall(text.casefold())):
            harmless *= 1 - severity.get(word, 0.0)
        return Score(round(1 - harmless, 6))


@functools.cache
def severities() -> dict[str, float]:
    """Return the listed words, in lower case, with the severity (0 to 1) of each."""
    found: dict[str, float] = {}
    severity = 0.0
    for line in _SOURCE.read_text(encoding="utf-8").splitlines():
        content = line.partition("#")[0].strip()
        if content.startswith("["):
            severity = float(content.strip("[]"))
        else:
            found |= {word.casefold(): severity for word in content.split()}
    return found
