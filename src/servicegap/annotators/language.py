"""Whether a text can be read by English rules.

A rough test for abstaining, not language identification.
"""

from __future__ import annotations

import re
import unicodedata

_LETTERS_READ = 600
_WORDS_READ = 150
_MIN_WORDS = 8  # fewer words say too little about the language
_MIN_OTHER = 3  # one or two can be names

_ENGLISH_TEXT = """
the of and to in is it that you for on with as are this be i not or have at from but what by we can an your
if they he she his her their was were will would there which do does about how who when my me so up out has
had because these those them then than please should could may might must here just like more some any also
into
"""
# Common words of Spanish, French, German, Italian, Portuguese, Dutch, then of Turkish, Swedish, Polish,
# Vietnamese, Tagalog and Indonesian.
_OTHER_TEXT = """
el los las que y una por con para del al lo como más su se es está pero no sé
le les des et est pas une dans pour qui sur au aux du ce il elle je vous nous ne avec sont mais
der die das und nicht ein eine ist zu den mit von für auf sich dem es ich sie wir auch wird sind
di che per non un della del sono gli nel alla questo
o os da em um uma não você ele ela dos mais isso seu
het een van niet op te zijn voor dat en ik je maar met aan
bir ve bu için ile değil çok og att det som inte på och i jest się na nie że do ang ng sa dan ini itu
untuk dengan tidak
no
me
do
die
i
o
es
al
den
dan
man
a
"""
_ALSO_ENGLISH = {"no", "me", "do", "die", "i", "o", "es", "al", "den", "dan", "man", "a"}
_ENGLISH = frozenset(_ENGLISH_TEXT.split())
_OTHER = frozenset(_OTHER_TEXT.split()) - _ENGLISH - _ALSO_ENGLISH
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")


def unreadable_reason(text: str) -> str | None:
    """Return why English rules cannot read the text, or None where they can.

    Parameters
    ----------
    text : str
        A response, with signals masked and without the part that repeats the prompt.

    Returns
    -------
    str or None
        Texts of fewer than eight words, and texts without letters, are taken as readable unless their
        script is another one.
    """
    script = _other_script(text[:_LETTERS_READ])
    if script:
        return f"the response is written mostly in {script} letters; the rules read English"
    words = _WORD.findall(text[: _LETTERS_READ * 2].lower())[:_WORDS_READ]
    if len(words) < _MIN_WORDS:
        return None
    english = len(_ENGLISH.intersection(words))
    other = len(_OTHER.intersection(words))
    foreign_letters = 0 if text.isascii() else sum(not word.isascii() for word in words)
    if (other > english and other >= _MIN_OTHER) or (foreign_letters > english and english < len(words) / 12):
        return "the response reads as a language other than English"
    return None


def _other_script(text: str) -> str | None:
    if text.isascii():
        return None
    letters = [char for char in text.replace("[NAME]", "") if char.isalpha()]
    others = [
        char for char in letters if ord(char) > 0x24F and not unicodedata.name(char, "").startswith("LATIN")
    ]
    if len(others) * 2 <= len(letters):
        return None
    return unicodedata.name(others[0], "other").split()[0].title()
