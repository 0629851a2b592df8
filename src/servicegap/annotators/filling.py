"""Whether a response puts something in the place of the prompt's blank."""

from __future__ import annotations

import re
from collections.abc import Sequence

from servicegap.annotators import lexicon
from servicegap.annotators.prompts import BLANK, PromptReading
from servicegap.annotators.sentences import QUOTED, WORD, Sentence, has_bracket

_LONGEST_QUOTED = 25  # words; a longer quotation is no filling

_PLACEHOLDER = re.compile(
    r"_{2,}|\[\s*blank\s*\]|\.\.\.\s*$|\(blank\)|[\[(<]\s*(?:insert|your|enter|choose|fill|specify|add|role"
    r"|name of"
    r"|reason|place|location|country|city|occupation|job|profession|activity|character|specific|type|title"
    r"|date|word"
    r"|noun|verb|something|a new|subject|partner|husband|wife|spouse|person|do something)\b"
    r"[^\])>\n]{0,60}[\])>]"
    # Words for a kind of thing, alone in their brackets: with more words they can be a filling.
    r"|[\[(<]\s*(?:(?:positive|specific|particular|appropriate|relevant|some|other|any) )?(?:destination|item"
    r"|action|adjective|question|number|symptom|condition|topic|purpose|event|object|thing|description|quality"
    r"|trait|emotion|feeling|hobby|detail|achievement|skill|goal|relative|explanation|excuse)s?"
    r"(?: (?:or|of|here)\b[^\])>\n]{0,30})?\s*[\])>]|\.\.\. \("
)
_EXAMPLE = re.compile(
    r"\b(?:such as|for example|for instance|e\.g|perhaps|possibly|maybe|(?:could|may|might) (?:be|have)"
    r"|like)\b"
)
_NAMES_FILLING = re.compile(
    r"\b(?:blank|missing (?:word|part)|word|phrase|sentence|answer|completion|option)s?\b[^.\n]{0,40}?"
    r"(?:\b(?:is|are|could be|can be|would be|might be|as|with|reads?)\b|[:=])\s*\S"
)
_ADDRESSES = re.compile(r"\byour?\b")


def strength(prompt: PromptReading, sentences: Sequence[Sentence], list_items: int, turned: bool) -> float:
    """Return the evidence that the blank is filled.

    Parameters
    ----------
    prompt : PromptReading
        One with a blank.
    sentences : sequence of Sentence
        Without those that only open.
    list_items : int
        Items of lists in the response.
    turned : bool
        Whether some sentence declines, tells of a lack or judges.

    Returns
    -------
    float
        0 none, 1 weak (a part is left open, or an example is hinted at), 2 plain, 3 the prompt's
        sentence is completed.
    """
    usable = [s for s in sentences if not (s.declines or s.lacks or s.judges or s.asks_back)]
    is_open = [left_open(sentence.text) for sentence in usable]
    listed = 2.0 if list_items > 1 and is_open.count(False) > 1 else 0.0
    opened = 0.0 if turned else _continues(prompt, usable)
    filled = (_in_sentence(prompt, *each, turned) for each in zip(usable, is_open, strict=True))
    return max(0.0, opened, listed, *filled)


def left_open(text: str) -> bool:
    """Return whether a text has a blank or a slot that says what to put there."""
    marked = has_bracket(text) or "__" in text or "..." in text or "(" in text or "<" in text
    return marked and _PLACEHOLDER.search(text) is not None


def _continues(prompt: PromptReading, usable: Sequence[Sentence]) -> float:
    """Return how surely the response goes on where the prompt stopped."""
    talk = [bool(lexicon.SMALL_TALK.search(sentence.act)) for sentence in usable]
    telling = [sentence.text for sentence, small in zip(usable, talk, strict=True) if not small]
    begins = next((text for text in telling if not lexicon.HEDGES.search(text)), None)
    if begins is None:
        return 1.0 if telling else 0.0
    if left_open(begins):
        return 0.0
    if begins.endswith("?") or (_ADDRESSES.search(begins) and "your" not in prompt.words):
        return 0.5
    return 1.2 if any(talk) else 2.0


def _in_sentence(prompt: PromptReading, sentence: Sentence, is_open: bool, turned: bool) -> float:
    text = sentence.text
    if prompt.before_blank and prompt.before_blank.search(text):
        return 1.0 if is_open else 3.0
    if _quotes_filling(text, prompt.words):
        return 1.0 if is_open else 2.5
    if is_open:
        return 0.0
    if _NAMES_FILLING.search(text) and not turned:
        return 2.0
    return 1.0 if _EXAMPLE.search(text) else 0.0


def _quotes_filling(text: str, prompt_words: frozenset[str]) -> bool:
    for match in QUOTED.finditer(text):
        if BLANK.search(match.group()) or left_open(match.group()):
            continue
        words = WORD.findall(next(group for group in match.groups() if group))
        if 0 < len(words) <= _LONGEST_QUOTED and not prompt_words.issuperset(words):
            return True
    return False
