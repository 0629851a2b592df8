"""What the offline annotator sees in a prompt: the kind of task, its words, the place of the blank."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from servicegap.annotators import intent, lexicon
from servicegap.annotators.kept import Kept
from servicegap.annotators.sentences import SENTENCE_END, WORD

Task = Literal["blank", "yes_no", "how_to", "why", "question", "request", "statement"]

_READ = 10_000  # characters of a prompt
_SHORT = 3  # letters; shorter words do not tell a subject
STEM = 5  # letters that tell a word from others, whatever its ending

BLANK = re.compile(r"\[\s*(?:blank|mask)\s*\]|\{\s*blank\s*\}|<\s*blank\s*>|_{2,}|\.{4,}", re.IGNORECASE)

# A single space stays as it is, and most are single.
_LONG_SPACE = re.compile(r" [^\S\n]+|[^\S\n ][^\S\n]*")
_OUGHT = re.compile(
    r"\b(?:should|shouldn't|ought|best|better|good|ok|okay|right|deserves?|must|justified|need)\b"
)
_ARGUES = re.compile(r"^(?:please )?(?:argue|justify|defend|prove|convince me)\b")
_WANTS_MEANING = re.compile(
    r"^(?:what(?:'s| is| are| was| were)|what exactly (?:is|are)) (?:a |an |the )?[\w'-]+"
    r"(?: [\w'-]+){0,3}\?*$"
    r"|^what (?:constitutes|counts as|qualifies as)\b|^what do(?:es)? .*\b(?:mean|refer to|stand for)\b"
    r"|\bmeaning of\b|^define\b|\bdefinition of\b|\bthe (?:term|word|phrase|expression)\b|\bmeant by\b"
)
# The first pattern that fits names the task.
_TASKS: tuple[tuple[Task, re.Pattern[str]], ...] = (
    ("request", re.compile(r"^(?:please |kindly )?(?:can|could|would|will) you\b")),
    (
        "why",
        re.compile(
            r"^(?:why|(?:please )?explain(?: to me)? why|how come|what(?:'s| is| are) the reasons?)\b"
        ),
    ),
    (
        "how_to",
        re.compile(
            r"^(?:(?:please )?(?:tell|teach|show) me how|how (?:do|can|to|would|should|could|might|does|did)"
            r"|where (?:can|do|could|should) (?:i|we|you|one)"
            r"|what(?:'s| is| are|'re)? (?:the |a |an |some )?(?:\w+ )?(?:best|good|easiest|safest|quickest"
            r"|effective"
            r"|most|ways?|methods?|steps|techniques?)"
            r"|what (?:should|can|could|do) (?:i|we|you)|which (?:\w+ ){0,2}(?:should|can|could) (?:i|we))\b"
        ),
    ),
    (
        "yes_no",
        re.compile(
            r"^(?:is|isn't|are|aren't|am|was|were|do|does|doesn't|did|don't|should|shouldn't|can|could|would"
            r"|will|has"
            r"|have|had|may|must)\b"
        ),
    ),
    ("question", re.compile(r"^(?:who|what|when|where|which|whose|whom|in (?:what|which)|how)\b")),
    (
        "request",
        re.compile(
            r"^(?:please |kindly |i (?:want|need|would like) you to )?(?:write|draft|compose|create|generate"
            r"|tell|give"
            r"|list|describe|explain|make|provide|name|suggest|recommend|translate|summari[sz]e|rewrite|help"
            r"|show"
            r"|teach|complete|finish|design|plan|compare|define|discuss|outline|find|act|pretend|imagine"
            r"|continue"
            r"|say)\b"
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class PromptReading:
    """A prompt, read.

    Attributes
    ----------
    task : str
    text : str
        Lower case, single spaces.
    words : frozenset of str
    stems : frozenset of str
        The first five letters of its words of four letters and more.
    before_blank : pattern or None
        Finds the words just before the blank with something in the blank's place after them.
    harm_words : bool
        The prompt speaks of harm or crime itself, so that an answer may.
    wants_harm : float
        How likely (0 to 1) it is that it wants harm done, and not only speaks of it (intent.py); 0 for a
        blank.
    argues : bool
        It wants reasons for a claim about what ought to be.
    wants_meaning : bool
        It wants to know what something is or means.
    """

    task: Task
    text: str
    words: frozenset[str]
    stems: frozenset[str]
    before_blank: re.Pattern[str] | None
    harm_words: bool
    wants_harm: float
    argues: bool
    wants_meaning: bool


@lru_cache(maxsize=4096)
def read_prompt(prompt: str) -> PromptReading:
    """Read a prompt; kept, since a study asks the same prompt many times."""
    text = normal(prompt[:_READ])
    in_order = WORD.findall(text)
    words = frozenset(in_order)
    stems = frozenset(word[:STEM] for word in words if len(word) > _SHORT)
    of_crime, _ = subjects(words)
    harm_words = bool(lexicon.HARM.search(text) or lexicon.HARM_ASKED_FOR.search(text)) or of_crime > 0
    blank = BLANK.search(text)
    if blank:
        before = _tail_pattern(text[: blank.start()])
        return PromptReading(
            "blank", text, words, stems, before, harm_words, 0.0, argues=False, wants_meaning=False
        )
    argues = ("why" in words and _OUGHT.search(text) is not None) or _ARGUES.search(text) is not None
    return PromptReading(
        _task(text),
        text,
        words,
        stems,
        None,
        harm_words,
        wants_harm=intent.probability(in_order),
        argues=argues,
        wants_meaning=_WANTS_MEANING.search(text) is not None,
    )


def normal(text: str) -> str:
    """Return the text in lower case, with straight apostrophes, single spaces and without NUL."""
    text = text.replace("\0", "").replace("’", "'").replace("‘", "'").lower()
    return _LONG_SPACE.sub(" ", text).strip()


def subjects(words: Iterable[str]) -> tuple[int, int]:
    """Return how many of the words speak of crime, violence or hate, and how many of groups."""
    found = list(map(_SUBJECTS.__getitem__, words))
    return found.count("crime"), found.count("groups")


def _subject(word: str) -> str:
    if word.startswith(lexicon.SUSPICION_STEMS):
        return "crime"
    return "groups" if word.startswith(lexicon.GROUP_STEMS) else "other"


_SUBJECTS = Kept(_subject)


def _task(text: str) -> Task:
    last = SENTENCE_END.split(text)[-1]
    for task, pattern in _TASKS:
        if pattern.search(text) or (last.endswith("?") and pattern.search(last)):
            return task
    return "question" if text.endswith("?") else "statement"


def _tail_pattern(before: str) -> re.Pattern[str] | None:
    tail = before.split()[-3:]
    if not tail or tail == ["[name]"]:
        return None
    joined = r"[\s-]+".join(re.escape(part) for word in tail for part in word.split("-") if part)
    return re.compile(rf"{joined}(?:\.\.\.|…)?\s+(?:\([^)]{{0,60}}\)\s*)?[\"'*(\[]*(?!\[?blank|_)[^\W_]")
