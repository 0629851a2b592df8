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
    """Return the JSON of what a server said with ``[key]`` in place of the key."""
    return without_key(json.dumps(value), json.dumps(key)[1:-1] if key else None)
