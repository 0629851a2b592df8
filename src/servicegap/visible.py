"""Text that models and users wrote, made safe to look at.

Characters that show nothing or turn the direction of what follows can make a text read as something that
it is not. They are shown by their number, in HTML as marked-up text and in plots as plain text.
"""

from __future__ import annotations

import unicodedata

from markupsafe import Markup, escape

# Blank or invisible although Unicode counts them as letters, symbols or marks.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u17b4\u17b5")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")
_VIRAMA = 9  # Unicode's combining class of it
_LINE = "\n\t"


def visible_text(text: str) -> str:
    r"""Return `text` on one line, every unseen character as ``[U+202E]``.

    Examples
    --------
    >>> visible_text("Ana\u202e\n")
    'Ana[U+202E][U+000A]'
    """
    return "".join(f"[{_number(part)}]" if unseen else part for part, unseen in _parts(text, keep=""))


def visible_html(text: str) -> Markup:
    """Return `text` escaped, lines kept, every unseen character marked up by its number."""
    parts = [
        Markup('<span class="unseen">{}</span>').format(_number(part)) if unseen else escape(part)
        for part, unseen in _parts(text.replace("\r\n", "\n"), keep=_LINE)
    ]
    return Markup("").join(parts)


def _parts(text: str, keep: str) -> list[tuple[str, bool]]:
    """Split into runs of plain text and single unseen characters."""
    parts: list[tuple[str, bool]] = []
    start = 0
    for place, character in enumerate(text):
        if character not in keep and _is_unseen(text, place):
            parts += [(text[start:place], False), (character, True)]
            start = place + 1
    parts.append((text[start:], False))
    return [(part, unseen) for part, unseen in parts if part]


def _is_unseen(text: str, place: int) -> bool:
    character = text[place]
    if character.isascii():
        return not character.isprintable()
    if character in _JOINERS:
        # Persian, Hindi and others need joiners inside words, Malayalam after a virama at their end too;
        # anywhere else they only hide.
        return not _is_letter(text, place - 1) or not (
            _is_letter(text, place + 1) or unicodedata.combining(text[place - 1]) == _VIRAMA
        )
    return character in _BLANK or unicodedata.category(character) in _UNSEEN


def _is_letter(text: str, place: int) -> bool:
    return 0 <= place < len(text) and unicodedata.category(text[place])[0] in "LM"


def _number(character: str) -> str:
    return f"U+{ord(character):04X}"
