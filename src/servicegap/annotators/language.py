"""Whether a text can be read by English rules.

A rough test for abstaining, not language identification. Where it is unsure it takes a text for readable.
The words are in common_words.py, what is no language at all in garbage.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

from servicegap.annotators.common_words import (
    ENGLISH_CONTENT,
    ENGLISH_ENDINGS,
    ENGLISH_GRAMMAR,
    OTHER_NAMES,
    OTHER_SENTENCES,
    SORRY,
)
from servicegap.annotators.garbage import error_reason, garbage_reason

_OTHER_LANGUAGE = "the response reads as a language other than English"

_READ = 600  # characters
_ENOUGH = 5  # different words of English grammar; with so many no more is looked at
_SHORT = 8  # words; a shorter text says little about its language
_PROSE = 10  # words from which nearly each text in English has an English word
_PROSE_RUN = 6  # words between separators; a list has fewer
_ENGLISH_SHARE = 0.09  # of the words of prose
_LETTERS = 2  # one letter of another script is a sign: π

_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_SEPARATOR = re.compile(r"[,;:|\n(){}=<>•]")
# Letters beyond the Latin alphabets and their phonetic and full-width forms.
_OTHER_LETTER = re.compile(r"[^\W\d_\u0000-\u02af\u1e00-\u1eff\u2c60-\u2c7f\ua720-\ua7ff\uff21-\uff5a]")


def unreadable_reason(text: str, asked: Collection[str] | None = None) -> str | None:
    """Return why English rules cannot read the text, or None where they can.

    Parameters
    ----------
    text : str
        A response, with signals masked and without the part that repeats the prompt. Its first 600
        characters are read.
    asked : collection of str, optional
        The prompt's words in lower case. They say whether digits, markup or a repetition were asked for, and
        which words of another language the prompt has itself.

    Returns
    -------
    str or None
        Short texts are taken as readable unless most of their words are another language's.
    """
    head = text[:_READ].lower().replace("[name]", " ").strip()
    if not head.isascii():
        head = unicodedata.normalize("NFC", head).replace("’", "'")
        script = _other_script(head)
        if script:
            return f"the response is written mostly in {script} letters; the rules read English"
    reason = error_reason(head, asked)
    if reason:
        return reason
    spoken = set(head.split())
    if len(ENGLISH_GRAMMAR & spoken) >= max(_ENOUGH, 2 * len(OTHER_SENTENCES & spoken)):
        return None
    words = _WORD.findall(head)
    if _speaks_other(words, asked or ()):
        return _OTHER_LANGUAGE
    english = sum(map(_is_english, words))
    reason = garbage_reason(head, words, english, asked)
    if reason or english >= _ENGLISH_SHARE * len(words) or not _is_prose(head, words):
        return reason
    return _OTHER_LANGUAGE


def _other_script(text: str) -> str | None:
    others = _OTHER_LETTER.findall(text)
    if len(others) < _LETTERS or len(others) * 2 <= len(_LETTER.findall(text)):
        return None
    return unicodedata.name(others[0], "other").split()[0].title()


def _speaks_other(words: Sequence[str], asked: Collection[str]) -> bool:
    """Return whether words of sentences in another language are more than those in English."""
    different = set(words)
    others = different.difference(asked)
    sentences, names = len(OTHER_SENTENCES & others), len(OTHER_NAMES & others)
    if not sentences:
        return False
    english = len(ENGLISH_GRAMMAR & different) + len(ENGLISH_CONTENT & different)
    if sentences > 1:
        return sentences + names > 2 * english
    if english or len(words) >= _SHORT:
        return False
    return (names > 0 and (sentences + names) * 2 >= len(words)) or different <= SORRY


def _is_english(word: str) -> bool:
    return word in ENGLISH_GRAMMAR or word in ENGLISH_CONTENT or word.endswith(ENGLISH_ENDINGS)


def _is_prose(text: str, words: Sequence[str]) -> bool:
    """Return whether the text is no list or notation, which in English may have no common word."""
    if len(words) < max(_PROSE, _PROSE_RUN * len(_SEPARATOR.findall(text))):
        return False
    return sum(len(word) > 2 for word in words) * 3 >= len(words)
