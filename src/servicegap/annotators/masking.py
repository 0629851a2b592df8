"""Signals hidden behind ``[NAME]``, so that an annotator cannot judge by the name.

A signal is found as a whole word, with or without its diacritics (``Yì``, ``Yi``), in the written case or
in capitals; longer signals that are no everyday word also in any other case. Of a full name each name is
found as well, as it was written: who is called Maria Garcia in the prompt is Ms. Garcia in the response.
Scripts written without spaces between words have no word borders, so there it is found anywhere. Not here:
pronouns, which can show a gender and are left as they are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

NAME = "[NAME]"

_DIACRITICS = "\u0300-\u036f"
# What continues a word beyond letters and digits: signs that Hebrew, Arabic and Indic scripts put on them.
_IN_WORD = rf"[^\W_]|[{_DIACRITICS}\u0591-\u05c7\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff]"
# Thai to Myanmar, Khmer, kana and Han: words are not separated.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003134f]"
)

# Names that are also English words, and the words after which a capital at the start of a sentence is the
# word's, not the name's: "Hang on", "Will you". Elsewhere a capital means the name.
_WORD_WHEN_BEFORE: dict[str, str] = {
    "hang": "on up out tight around onto the a your it them this that",
    "will": "you it this that they he she we i there these those your the",
    "may": "i you it this that they he she we the your",
    "mark": "this that your my it the",
    "hope": "you this that it the",
    "bill": "them him it the",
    "sue": "them him it the",
    "drew": "a the it",
    "can": "you i we it this that they he she",
    "long": "ago before after",
    "young": "people children adults men women",
    "so": "i you it the this that we they",
    "in": "the this a that order",
    "do": "you not they we i",
}
_OTHER_NAME_WORDS = """
an art chance chip clay dawn dean dung earl eve faith ford frank gene grace guy hank heath holly iris ivy
jack jade jean joy june lance lily mike mercy miles misty my olive pat peg penny pearl ray rich rob robin
rose ruby sandy song sky stew summer sun van violet wade ward wren mai mine said win king
angel archer art august autumn baker bishop brook carter chase christian cook cooper crystal daisy destiny
diamond ebony faith fisher fletcher forest fox ginger harmony harper hazel heather heaven hunter jasmine
jewel judge justice justin laurel major mason melody noble page parker patience piper pope poppy porter
precious prince princess river royal rusty sage sawyer shepherd smith star stone tanner taylor turner tyler
weaver wolf woody
"""
_ALSO_WORDS = frozenset(_WORD_WHEN_BEFORE) | frozenset(_OTHER_NAME_WORDS.split())
# What may stand in lower case within a full name.
_PARTICLES = {
    "al",
    "bin",
    "da",
    "de",
    "del",
    "der",
    "di",
    "dos",
    "du",
    "el",
    "ibn",
    "la",
    "le",
    "van",
    "von",
    "y",
}
_ANY_CASE_LETTERS = 4  # shorter signals in another case are mostly other words ("li" for a list, "yi")


def mask_signals(text: str, signals: Iterable[str]) -> str:
    """Replace every signal in a text by ``[NAME]``.

    Parameters
    ----------
    text : str
    signals : iterable of str
        The study's signals. For many texts, make one ``SignalMask`` and use its ``apply``.

    Returns
    -------
    str
        The masked text; possessive endings stay.

    Examples
    --------
    >>> mask_signals("Hang on, Hang's bus and Yi's bus are late.", ["Hang", "Yì"])
    "Hang on, [NAME]'s bus and [NAME]'s bus are late."
    """
    return SignalMask(signals).apply(text)


class SignalMask:
    """The signals of a study, made ready once.

    Parameters
    ----------
    signals : iterable of str
        Names or other signals, in any script; empty ones are passed over.
    """

    def __init__(self, signals: Iterable[str]) -> None:
        self._written: dict[str, set[str]] = {}
        whole = [plain for plain in map(_plain, signals) if plain]
        parts = [part for signal in whole for part in _names_of(signal)]
        for plain in (*whole, *parts):
            self._written.setdefault(plain.lower(), set()).add(plain)
        #: Family names are often other words in lower case (cook, brown), so these count as written alone.
        self._parts = {part.lower() for part in parts} - {signal.lower() for signal in whole}
        self._ascii_text = self._pattern("")
        self._any_text = self._pattern(f"[{_DIACRITICS}]*")

    def apply(self, text: str) -> str:
        """Return the text with every signal replaced by ``[NAME]``."""
        if not self._written:
            return text
        if text.isascii():
            return self._ascii_text.sub(self._replace, text)
        return unicodedata.normalize(
            "NFC", self._any_text.sub(self._replace, unicodedata.normalize("NFD", text))
        )

    def _pattern(self, after_letter: str) -> re.Pattern[str]:
        spaced = [signal for signal in self._written if not _UNSPACED.search(signal)]
        unspaced = [signal for signal in self._written if _UNSPACED.search(signal)]
        parts = []
        if spaced:
            ending = f"(?!{_IN_WORD})"
            parts.append(f"(?<![^\\W_])(?:{_tree(spaced, after_letter, ending)})")
        if unspaced:
            parts.append(_tree(unspaced, after_letter, ""))
        return re.compile("|".join(parts), re.IGNORECASE)

    def _replace(self, match: re.Match[str]) -> str:
        return NAME if self._is_signal(match) else match.group()

    def _is_signal(self, match: re.Match[str]) -> bool:
        found = _plain(match.group())
        folded = found.lower()
        written = self._written.get(folded, set())
        if folded in _ALSO_WORDS:
            if found in written:
                return not _starts_sentence_as_word(match, folded)
            return found.isupper()
        any_case = folded not in self._parts and sum(map(str.isalpha, found)) >= _ANY_CASE_LETTERS
        return any_case or found in written or found in {signal.upper() for signal in written}


def _plain(signal: str) -> str:
    """Return the signal without diacritics, with single spaces and straight apostrophes."""
    decomposed = re.sub(f"[{_DIACRITICS}]", "", unicodedata.normalize("NFD", signal))
    return " ".join(decomposed.replace("’", "'").split())


def _names_of(signal: str) -> list[str]:
    """Return the names that a full name is made of, without initials and titles (``Dr.``); else nothing."""
    words = signal.split()
    names = [word for word in words if word not in _PARTICLES]
    if len(names) < 2 or not all(word[0].isupper() for word in names):
        return []
    return [name for name in names if len(name) > 1 and not name.endswith(".")]


def _starts_sentence_as_word(match: re.Match[str], folded: str) -> bool:
    following = _WORD_WHEN_BEFORE.get(folded, "").split()
    before = match.string[max(0, match.start() - 3) : match.start()].rstrip(" \"'“‘(*")
    after = re.match(r"\s+([a-z]+)", match.string[match.end() : match.end() + 20])
    return (not before or before[-1] in ".!?:\n") and after is not None and after[1] in following


def _tree(signals: list[str], after_letter: str, ending: str) -> str:
    """Return a pattern for any of the signals, shared beginnings written once and the longest tried first."""
    branches: dict[str, list[str]] = {}
    for signal in signals:
        if signal:
            branches.setdefault(signal[0], []).append(signal[1:])
    ends = [ending] if "" in signals else []
    parts = [
        _letter(first) + after_letter + _tree(rest, after_letter, ending) for first, rest in branches.items()
    ]
    return f"(?:{'|'.join(parts + ends)})"


def _letter(letter: str) -> str:
    if letter == " ":
        return r"\s+"
    return "['’]" if letter == "'" else re.escape(letter)
