"""What a sentence or a text may say, told by its words: patterns are slow, and most find nothing.

A sentence is searched for an act (lexicon.py) only if it has one of the words below, or a word with one of
the parts; for some acts a negation and such a word. What a pattern would find without them is passed over:
some questions back without a question mark, hardly a refusal or a lack, nothing of other acts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from servicegap.annotators.kept import Kept

_NEGATES: Final = "negates"
_PARTS: Final = {
    _NEGATES: "n't",
    "declines": """
        unable lack refus declin refrain abstain against violat outside beyond rather uncomfortable prevent
        prohib incapable prefer nope
        """,
    "lacks": "not n't unable lack",
    "judges": """
        wrong illegal unethical unaccept immoral against disrespect ffen crime problematic insensitive hurtful
        unlawful inappropriate advise urge courage recommend condemn oppose disagree harm danger honest cruel
        unfair abuse control unkind risky breach violation undermin concern worri caution irrespons reason
        justification excuse
        """,
    "asks_back": "please more sure",
    "lectures": """
        inclusiv promot perpetuat facilitat endors glorif encourag discriminat stereotyp consequences deserve
        programmed designed
        """,
    "chats": "congrat",
    "sets_right": """
        fiction imagin myth legend invent inanimate living nonhuman assumption premise misconception
        """,
    # Beside a negation.
    "judges not": """
        appropriate accept ethical okay respect legal productive advisable polite moral healthy constructive
        recommend justif tolerate allow condone solution effective answer joke laugh responsible support
        believe agree shouldn't don't
        """,
    "sets_right not": "living sentient conscious person exist capab",
    "declines not": "complet answer provid fulfil comply assist",
}
_WHOLE: Final = {
    _NEGATES: "not never nothing cannot couldnot",
    "declines": "no pass stop",
    "judges": "must form",
    "lacks": "no just only ai",
    "offers": """
        else instead happy glad here suggest recommend encourage urge advise offer like feel know help assist
        if please let's perhaps maybe provide hope
        """,
    "lectures": """
        important essential crucial vital necessary imperative best better should must right respect dignity
        kindness empathy compassion positive regardless being safety purpose goal aim role strive should've
        must've
        """,
    "chats": """
        luck news hear exciting great wonderful fantastic amazing terrific awesome interesting bad unfortunate
        hope wish nice how happy love
        """,
    "urges": """
        seek reach contact speak talk turn call report consult get legal lawful ethical healthy constructive
        peaceful positive respectful safe safer violent responsible
        """,
    "sets_right": "human such",
    "judges not": "ok right safe good funny wise should do never think",
    "sets_right not": """
        real people human humans ability capacity means mind mouth hands rights feelings opinions
        """,
    "declines not": """
        i we i'm i'll i'd i've we're we'll we'd we've my our sorry apologies unfortunately absolutely
        definitely
        """,
}
_WHOLE_WORDS: Final = [(act, frozenset(words.split())) for act, words in _WHOLE.items()]
_WORD_PARTS: Final = [(act, tuple(parts.split())) for act, parts in _PARTS.items()]
_ANY_PART: Final = re.compile("|".join(map(re.escape, sorted({part for _, p in _WORD_PARTS for part in p}))))

# What a whole text is searched for has one of these strings in it.
_STRINGS: Final = {
    "hedges": (
        "depends", "reasons", "factors", "possibilities", "explanations", "hard to ", "difficult to ",
        "impossible to ", "not possible", "not clear", "not specified", "not necessarily", "without ",
        "unclear", "cannot be ", "personal ",
    ),
    "not_real": (
        "real", "fiction", "cartoon", "exist", "imaginary", "mythical", "assumption", "premise",
        "misconception", "grounded", "supported", "based", "scientific", "inanimate",
        "different meaning", "term ",
    ),
    "harm": ("harm", "unethical", "danger", "threat", "unsafe", "immoral", "malicious", "hazard"),
}  # fmt: skip


def may(what: str, text: str) -> bool:
    """Return whether a text in lower case may have ``hedges``, ``not_real`` or ``harm``."""
    return any(string in text for string in _STRINGS[what])


def acts(words: Iterable[str]) -> frozenset[str]:
    """Return the acts, as attributes of ``Sentence``, that a sentence of these words may be."""
    found = frozenset[str]().union(*filter(None, map(_ACTS.__getitem__, words)))
    if _NEGATES in found:
        return found.union(act.removesuffix(" not") for act in found)
    return found


def _of_word(word: str) -> frozenset[str]:
    found = {act for act, words in _WHOLE_WORDS if word in words}
    if _ANY_PART.search(word):  # most words have none
        found.update(act for act, parts in _WORD_PARTS if any(part in word for part in parts))
    return frozenset(found)


_ACTS: Final = Kept(_of_word)
