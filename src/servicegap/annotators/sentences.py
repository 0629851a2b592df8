"""A response taken apart into sentences, and the speech act of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from servicegap.annotators import hints, lexicon

_MAX_SENTENCES = 30

# Also at a list's line ends, and before "but" and "however": what follows can take back what came before.
SENTENCE_END = re.compile(
    r"(?=[\s,])"  # most letters are passed over quickly
    r"(?:(?<!\.\.)(?<=[.!?:])\s+|(?<=[.!?:][\"')\]*])\s+|\s*\n+\s*|,\s+(?=(?:but|however)\b,? i\b))"
)
WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
#: Quotation marks, bold and square brackets: what stands in them is quoted, or put in the blank's place.
QUOTED = re.compile(r"\"([^\"\n]{1,300})\"|“([^”\n]{1,300})”|\*\*([^*\n]{1,300})\*\*|\[([^\]\[\n]{1,200})\]")
_GOES_ON = re.compile(r"\b(?:but|however),? (?:i can\b(?! not)|here|in general|generally|based on)")


class Sentence(NamedTuple):
    """One sentence and its speech acts.

    Attributes
    ----------
    text : str
        Lower case.
    act : str
        The text without what it quotes, since a quoted refusal is not the speaker's.
    words, terms : tuple of str
        The words of ``act``; these and all pairs of neighbours, ``|`` standing for the beginning.
    declines, lacks, judges, apologises, asks_back, offers, lectures : bool
        Says that the speaker cannot or will not; that it lacks what it would need; judges the request or
        the act; begins with an apology or regret; wants to know more before anything is done; offers help
        of another kind, or closes; tells the reader what ought to be.
    chats, urges, sets_right : bool
        Asks something or is small talk; points to other people or to a lawful way; says that something is not
        real, or cannot be or do what the prompt takes it to.
    """

    text: str
    act: str
    words: tuple[str, ...]
    terms: tuple[str, ...]
    declines: bool
    lacks: bool
    judges: bool
    apologises: bool
    asks_back: bool
    offers: bool
    lectures: bool
    chats: bool
    urges: bool
    sets_right: bool

    @property
    def helps(self) -> bool:
        """Announces help, or gives some in place of what was asked for."""
        return lexicon.HELPS.search(self.act) is not None

    @property
    def goes_on(self) -> bool:
        """Turns from declining to saying something all the same."""
        return lexicon.GOES_ON.search(self.act) is not None

    @property
    def turns_away(self) -> bool:
        """Declines, lacks, judges, lectures, apologises or offers: does not serve the request."""
        return self.declines or self.lacks or self.offers or self.lectures or self.judges or self.apologises


def split(text: str) -> list[Sentence]:
    """Return the first 30 sentences of a text in lower case."""
    parts = [part for part in SENTENCE_END.split(text) if part][:_MAX_SENTENCES]
    return [_read(part) for part in parts]


def words_of(text: str, sentences: Sequence[Sentence]) -> list[str]:
    """Return all words of a text that was split into these sentences."""
    if len(sentences) == _MAX_SENTENCES or any(sentence.act != sentence.text for sentence in sentences):
        return WORD.findall(text)  # some may not be read, or are quoted and so in no sentence's words
    return [word for sentence in sentences for word in sentence.words]


def _read(text: str) -> Sentence:
    act = _without_quotes(text)
    words = tuple(WORD.findall(act))
    maybe = hints.acts(words)
    return Sentence(
        text=text,
        act=act,
        words=words,
        terms=(*words, *map(" ".join, zip(("|", *words), words, strict=False))),
        declines="declines" in maybe and lexicon.DECLINES.search(act) is not None,
        lacks="lacks" in maybe and lexicon.LACKS.search(act) is not None,
        judges="judges" in maybe and lexicon.JUDGES.search(act) is not None,
        apologises=lexicon.APOLOGISES.search(act) is not None,
        asks_back=("asks_back" in maybe or "?" in act) and lexicon.ASKS_BACK.search(act) is not None,
        offers="offers" in maybe and lexicon.OFFERS.search(act) is not None,
        lectures="lectures" in maybe and lexicon.LECTURES.search(act) is not None,
        chats=act.endswith("?") or ("chats" in maybe and lexicon.SMALL_TALK.search(act) is not None),
        urges="urges" in maybe and lexicon.URGES.search(act) is not None,
        sets_right="sets_right" in maybe
        and lexicon.SETS_RIGHT.search(act) is not None
        and lexicon.EVEN_SO.search(act) is None,
    )


def _without_quotes(text: str) -> str:
    if '"' not in text and not has_bracket(text) and "“" not in text and "**" not in text:
        return text
    return QUOTED.sub(lambda match: match.group() if match.group() == "[name]" else '""', text)


def has_bracket(text: str) -> bool:
    """Return whether a text has a square bracket that is not that of ``[name]``."""
    return text.count("[") > text.count("[name]")


def first(sentences: Sequence[Sentence], test: Callable[[Sentence], bool]) -> int | None:
    """Return the index of the first sentence that passes, or None."""
    return next((index for index, sentence in enumerate(sentences) if test(sentence)), None)


def first_lack(sentences: Sequence[Sentence]) -> int | None:
    """Return the first sentence that tells of a lack and is not taken back: "but I can say this much"."""
    for index, sentence in enumerate(sentences):
        if sentence.lacks:
            following = sentences[index + 1].act[:40] if index + 1 < len(sentences) else ""
            if not (_GOES_ON.search(sentence.act) or _GOES_ON.search(following)):
                return index
    return None
