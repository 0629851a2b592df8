"""Keeping the key of a server out of what is stored and shown, where the server repeats it.

Not here: where the key comes from (openai.py).
"""

from __future__ import annotations

import json
import re
from typing import Any

HIDDEN = "[key]"
#: Keys as short as these are no secret, and to hide them would mangle other words that hold them: servers
#: that ask for no key are given any word ("none", "anything"), and answers may well say it.
_SHORTEST, _SHORTEST_OF_LETTERS = 8, 13
#: A text or a name within JSON.
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')


def is_secret(key: str) -> bool:
    """Return whether a key is long enough to be one: 8 characters, or 13 where all are letters or spaces.

    Examples
    --------
    >>> is_secret("sk-01234"), is_secret("anything"), is_secret("x")
    (True, False, False)
    """
    return len(key) >= (_SHORTEST_OF_LETTERS if re.fullmatch("[A-Za-z ]+", key) else _SHORTEST)


def without_key(text: str, key: str | None) -> str:
    """Return what a server said with ``[key]`` in place of the key.

    Examples
    --------
    >>> without_key("you sent Bearer sk-0123456789", "sk-0123456789")
    'you sent Bearer [key]'
    """
    return text.replace(key, HIDDEN) if key and is_secret(key) else text


def json_without_key(value: Any, key: str | None) -> str:
    """Return the JSON of what a server said with ``[key]`` in place of the key, in texts and names alone.

    A number that happens to have the key's digits stays: with letters in it, it would be no JSON.

    Examples
    --------
    >>> json_without_key([{"created": 17171717, "by": "17171717"}], "17171717")
    '[{"created": 17171717, "by": "[key]"}]'
    """
    text = json.dumps(value)
    if not key or json.dumps(key)[1:-1] not in text:
        return text
    # Each text is decoded by itself: the key's letters may be half of an escape.
    return _TEXT.sub(lambda said: json.dumps(without_key(json.loads(said[0]), key)), text)
