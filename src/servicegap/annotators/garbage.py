"""Whether a text is no language at all: keys hit at random, one thing repeated, an error, signs alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence

_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)?")

_ERROR_FIELD = re.compile(
    r"\[?\{.{0,300}?['\"](?:errors?|error_?(?:code|message)|fault|exception)['\"]\s*:", re.DOTALL
)
# Fields that records have too: an error where there is nothing else.
_FIELD = re.compile(r"['\"]([^'\"]+)['\"]\s*:")
_FAILED_NUMBER = re.compile(r"['\"](?:status|code|status_?code)['\"]\s*:\s*['\"]?[45]\d\d\b")
_WITH_NUMBER_TEXT = """
code detail instance message msg path reason status status_code statuscode success timestamp title type
"""
_WITH_NUMBER = frozenset(_WITH_NUMBER_TEXT.split())
_WITH_DETAIL = frozenset(["code", "ctx", "detail", "input", "loc", "msg", "type", "url"])
_PAGE = re.compile(r"<(?:!doctype|html|\?xml|head|body|title|center|h1|error)\b")
_WHAT_FAILED = (
    r"(?:bad (?:gateway|request)|not found|forbidden|(?:service )?(?:temporarily )?unavailable"
    r"|unauthori[sz]ed|too many requests|(?:gateway )?time-?out|(?:internal )?(?:server )?error\b|rate.?limit"
    r"|access denied)"
)
_FAILED = re.compile(_WHAT_FAILED)
_STATUS = re.compile(
    rf"(?:http\S*\s+)?(?:error\s*)?(?:code\s*)?:?\s*([45]\d\d)\s*[:–-]?\s*(?:[{{<]|{_WHAT_FAILED})"
)
_LONGEST_STATUS = 200  # characters; what is longer explains the status
_ABOUT_SERVERS_TEXT = """
api code css error errors function html http https javascript json markup program python schema server web
webpage website xml yaml
"""
_ABOUT_SERVERS = frozenset(_ABOUT_SERVERS_TEXT.split())

_REPEATED = 10  # tokens
_REPEATED_SHARE = 0.9
_LONGEST_PART = 12  # characters of what is repeated without a space
_UNBROKEN = 40  # "aaaaaaah" is shorter
_ABOUT_REPEATING = frozenset(["repeat", "repeatedly", "repeating", "times"])
_ABOUT_CODES_TEXT = """
base64 cipher ciphertext code decode decrypt dna encode encrypt gibberish hash key keyboard letters password
passwords protein random sequence string
"""
_ABOUT_CODES = frozenset(_ABOUT_CODES_TEXT.split())

_MOST_SIGNS = 40  # characters; fewer can be a line to fill in, which fails to answer
_MOST_DIGITS = 20  # characters
_ABOUT_NUMBERS_TEXT = """
age calculate code compute coordinates cost count date dates decimals digits divide equation far fibonacci
figures how long many minus much multiply number numbers odds password percent percentage phone pi pin plus
price primes product root score sequence solve square sum table time times total value when year years
"""
_ABOUT_NUMBERS = frozenset(_ABOUT_NUMBERS_TEXT.split())
_STRANGE = re.compile(r"[#@!$%&~?^*]")
_STRANGE_KINDS = 3
_STRANGE_PIECES = 4

# Pairs of consonants that many English words have. Others come in few words, and seldom twice in one.
_PAIRS = frozenset(
    first + second
    for first, seconds in {
        "b": "bdjlrstv", "c": "chklqrst", "d": "dgjlmnrsvw", "f": "flrst", "g": "dghlmnrst", "h": "lmnrstw",
        "k": "hklnrsw", "l": "bcdfghklmnprstvwz", "m": "bcflmnprst", "n": "bcdfghjklmnpqrstvwxz",
        "p": "hlmnprst", "r": "bcdfghjklmnpqrstvwz", "s": "bcdfghklmnpqrstwz", "t": "bcfhlmnrstwz",
        "v": "lr", "w": "bdhklnrs", "x": "chpt", "z": "bklmntwz",
    }.items()
    for second in seconds
)  # fmt: skip
_CONSONANTS = re.compile(r"(?=([b-df-hj-np-tv-xz]{2}))")
_VOWELS = re.compile(r"[aeiouy]")
_ODD_LETTERS = re.compile(r"q[aeio]|[aeiou]{4}")
_ROMAN_NUMBER = re.compile(r"[mdclxvi]+")
_SEPARATOR = re.compile(r"[,;|\n]")
_MOST_ENGLISH = 4  # one word in so many may be English by chance
_WORDS_SPELLED = 60  # words whose spelling is looked at
_HIT = 3  # words of keys hit at random


def error_reason(text: str, asked: Collection[str] | None) -> str | None:
    """Return a reason where a server's error stands in the response's place.

    Parameters
    ----------
    text : str
        The beginning of the response in lower case.
    asked : collection of str or None
        The prompt's words; None where the prompt is not known.
    """
    if text.startswith(("{", "[{")):
        found = _ERROR_FIELD.match(text) is not None or _is_bare_error(text)
    elif text.startswith("<"):
        found = _PAGE.match(text) is not None and (asked is not None or _FAILED.search(text) is not None)
    else:
        found = asked is not None and len(text) <= _LONGEST_STATUS and _is_status(text, asked)
    if not found or (asked and not _ABOUT_SERVERS.isdisjoint(asked)):
        return None
    return "the response is the error of a server, or a page of markup"


def _is_bare_error(text: str) -> bool:
    """Return whether a text is JSON, to its end, of fields that tell a failure and nothing else."""
    if not text.endswith(("}", "}]")):
        return False
    fields = set(_FIELD.findall(text))
    if "detail" in fields and fields <= _WITH_DETAIL:
        return True
    return fields <= _WITH_NUMBER and _FAILED_NUMBER.search(text) is not None


def _is_status(text: str, asked: Collection[str]) -> bool:
    status = _STATUS.match(text)
    return status is not None and status[1] not in asked


def garbage_reason(
    text: str, words: Sequence[str], english: int, asked: Collection[str] | None
) -> str | None:
    """Return a reason where a text is no language.

    Parameters
    ----------
    text : str
        The beginning of the response in lower case, without masked signals.
    words : sequence of str
        Its words.
    english : int
        How many of them are English.
    asked : collection of str or None
        The prompt's words; None where the prompt is not known.
    """
    if _repeats(text) and (asked is None or _ABOUT_REPEATING.isdisjoint(asked)):
        return "the response repeats one word or sign"
    if not words:
        return _signs_reason(text, asked)
    if english * _MOST_ENGLISH >= len(words) or (asked and not _ABOUT_CODES.isdisjoint(asked)):
        return None
    if _is_keys(text, words[:_WORDS_SPELLED]) or _is_strange(text, words):
        return "the response is letters and signs without words"
    return None


def _repeats(text: str) -> bool:
    tokens = _TOKEN.findall(text)
    different = set(tokens)
    if len(tokens) >= _REPEATED and len(different) * _REPEATED <= len(tokens) + _REPEATED:
        return max(Counter(tokens).values()) >= _REPEATED_SHARE * len(tokens)
    letters = "".join(tokens)
    if len(letters) < _UNBROKEN:
        return False
    if len(different) > 3:
        return len(set(letters)) <= 3 and letters.isalpha()
    longest = max(tokens, key=len)
    return len(longest) >= _UNBROKEN and any(
        longest[part:] == longest[:-part] for part in range(1, _LONGEST_PART + 1)
    )


def _signs_reason(text: str, asked: Collection[str] | None) -> str | None:
    seen = "".join(text.split())
    if not any(map(str.isalnum, seen)):
        return "the response has nothing but signs" if len(seen) >= _MOST_SIGNS else None
    if asked is None or len(seen) < _MOST_DIGITS:
        return None
    if not _ABOUT_NUMBERS.isdisjoint(asked) or any(map(str.isdigit, asked)):
        return None
    return "the response has nothing but digits and signs, and the prompt asks for none"


def _is_keys(text: str, words: Sequence[str]) -> bool:
    hit = sum(map(_is_hit, words))
    if len(words) <= 2:
        return all(len(word) > 5 and _is_hit(word) and len(set(word)) > 4 for word in words)
    return hit >= _HIT and hit * 2 >= len(words) and len(_SEPARATOR.findall(text)) * 3 < len(words)


def _is_hit(word: str) -> bool:
    """Return whether no English word, and hardly a name, is spelled like this."""
    if len(word) < 4 or not word.isascii():
        return False
    if not _VOWELS.search(word):
        return _ROMAN_NUMBER.fullmatch(word) is None
    odd = sum(pair not in _PAIRS for pair in _CONSONANTS.findall(word)) + len(_ODD_LETTERS.findall(word))
    return odd >= 2 and odd * 3 >= len(word) - 1


def _is_strange(text: str, words: Sequence[str]) -> bool:
    pieces = text.split()
    if len(pieces) < _STRANGE_PIECES or len(set(_STRANGE.findall(text))) < _STRANGE_KINDS:
        return False
    spoken = sum(len(word) > 2 and _VOWELS.search(word) is not None for word in words)
    return spoken * 4 < len(pieces)
