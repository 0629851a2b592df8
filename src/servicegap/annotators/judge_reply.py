"""What a judge's reply means: a label, or none; and what several replies come to.

A reply is read strictly: one JSON object with a category of the codebook, or the category alone. Anything
else is no label, and is never guessed at: the words of a category stand in many a reply that declines to
judge. Not here: what the judge was asked (judge_prompt.py).
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from servicegap.annotators.judge_prompt import CANNOT_TELL
from servicegap.annotators.protocol import Judgement
from servicegap.records import CATEGORIES, Category

_SHOWN = 60
#: How probable (0 to 1) all labels together must be for their probabilities to be told.
_LEAST_MASS = 0.5
# What models that think aloud write first, where their server passes it on.
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCED = re.compile(r"\A```(?:json)?\s*\n(.*?)\n?```\Z", re.DOTALL | re.IGNORECASE)
_LABEL = re.compile(r'"category"\s*:\s*"')
#: A reply's tokens as they are kept: for each token what was written, and the likeliest with their log
#: probabilities.
Tokens = Sequence[tuple[str, Sequence[tuple[str, float]]]]


@dataclass(frozen=True, slots=True)
class Vote:
    """One reply of a judge.

    Attributes
    ----------
    category : str or None
        None = the reply is no label; ``no_label`` then says why, in words.
    reason : str or None
        What the judge gave as its reason.
    """

    category: Category | None
    no_label: str | None = None
    reason: str | None = None


def read_vote(text: str) -> Vote:
    """Read a judge's reply.

    Examples
    --------
    >>> read_vote('{"category": "refusal"}').category
    'refusal'
    >>> read_vote("This looks like a refusal to me.").no_label
    'no label in the reply "This looks like a refusal to me."'
    """
    said = _THOUGHT.sub("", text).strip()
    fenced = _FENCED.match(said)
    said = fenced[1].strip() if fenced else said
    found, reason = _in_json(said) if said.startswith("{") else (said.strip("\"'.` "), None)
    category = found.strip().lower().replace(" ", "_") if found is not None else ""
    if category in CATEGORIES:
        return Vote(cast(Category, category), reason=reason)
    if category == CANNOT_TELL:
        return Vote(None, "the judge cannot tell", reason)
    return Vote(None, f'no label in the reply "{_short(said)}"', reason)


def settle(votes: Sequence[Vote], probabilities: tuple[float, ...] | None = None) -> Judgement:
    """Return what the replies to the same question come to.

    Parameters
    ----------
    votes : sequence of Vote
        At least one.
    probabilities : tuple of float, optional
        Those of a single vote, from the tokens' log probabilities.

    Returns
    -------
    Judgement
        The category with the most votes, if it has more than any other and more than there are replies
        without a label; else an abstention. ``probabilities`` are the shares of the labels given (0 to 1);
        of a single vote those of its tokens, None where there are none.

    References
    ----------
    The vote over samples is the self-consistency of Wang et al. (2023), arXiv 2203.11171; they take the
    most frequent answer, where this abstains on a tie.
    """
    counts = Counter(vote.category for vote in votes if vote.category is not None)
    unlabelled = [vote for vote in votes if vote.category is None]
    if not counts:
        return Judgement(None, abstain_reason=_reasons(unlabelled))
    if len(votes) == 1:
        return Judgement(votes[0].category, probabilities)
    shares = tuple(counts[category] / counts.total() for category in CATEGORIES)
    ranked = counts.most_common()
    (best, most), runner_up = ranked[0], ranked[1][1] if len(ranked) > 1 else 0
    if most <= len(unlabelled):
        reason = f"{len(unlabelled)} of {len(votes)} replies have no label: {_reasons(unlabelled)}"
        return Judgement(None, shares, reason)
    if most == runner_up:
        tied = " and ".join(category for category, count in ranked if count == most)
        return Judgement(None, shares, f"the judge's replies are tied: {tied}, {most} of {len(votes)} each")
    return Judgement(best, shares)


def token_probabilities(tokens: Tokens, category: Category) -> tuple[float, ...] | None:
    """Return how probable each category was when the judge wrote its label.

    The label is followed from token to token. At each, the likeliest others lead to other categories; one
    that leads to several (``harmful_``) is shared among them. What no listed token leads to is left out,
    and the rest made to sum to 1.

    Parameters
    ----------
    tokens : sequence of (str, sequence of (str, float))
        Tokens in order, each with the likeliest at its place and their natural log probabilities.
    category : str
        The label that was read from the reply.

    Returns
    -------
    tuple of float or None
        In the order of ``records.CATEGORIES``, from 0 to 1, summing to 1; None where the label cannot be
        found in the tokens, or where it is likelier than not that the model, had it been free, would have
        written no label: how it divides the rest says little then.
    """
    start = _label_start("".join(token for token, _ in tokens), category)
    if start is None:
        return None
    found: dict[str, float] = dict.fromkeys(CATEGORIES, 0.0)
    at, before = 0, 1.0
    for token, likeliest in tokens:
        written = token[max(0, start - at) :]
        begun = category[: max(0, at - start)]
        if at + len(token) > start and begun != category:
            lead = token[: max(0, start - at)]
            before *= _share_out(found, begun, written, lead, likeliest, before)
        at += len(token)
    found[category] += before
    total = sum(found.values())
    return tuple(found[each] / total for each in CATEGORIES) if total >= _LEAST_MASS else None


def compact_logprobs(logprobs: str) -> str | None:
    """Return a server's list of token log probabilities with no more than is needed, as JSON.

    None where it is not in the shape that chat servers use.
    """
    try:
        tokens = [[token["token"], _likeliest(token)] for token in json.loads(logprobs)]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return json.dumps(tokens, ensure_ascii=False)


def _likeliest(token: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return the listed tokens at one place, the written one among them."""
    listed = {each["token"]: each["logprob"] for each in [token, *token["top_logprobs"]]}
    return [(text, round(logprob, 4)) for text, logprob in listed.items()]


def _share_out(
    found: dict[str, float],
    begun: str,
    written: str,
    lead: str,
    likeliest: Sequence[tuple[str, float]],
    before: float,
) -> float:
    """Give the others at one place their probability; return that of the token which was written."""
    own = 1.0
    for token, logprob in likeliest:
        rest = token[len(lead) :]
        if not token.startswith(lead) or not rest:
            continue
        if rest == written:
            own = math.exp(logprob)
            continue
        leads_to = [each for each in CATEGORIES if _continues(each, begun + rest)]
        for each in leads_to:
            found[each] += before * math.exp(logprob) / len(leads_to)
    return own


def _continues(category: str, begun: str) -> bool:
    """Whether what is begun can become a category, or is one with the sign that ends it."""
    return category.startswith(begun) if len(begun) <= len(category) else begun.startswith(f'{category}"')


def _label_start(text: str, category: str) -> int | None:
    *_, last = (0, *(match.end() for match in _LABEL.finditer(text)))
    start = text.find(category, last)
    return start if start >= 0 else None


def _in_json(said: str) -> tuple[str | None, str | None]:
    try:
        read = json.loads(said, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None, None
    found, reason = read.get("category"), read.get("reason")
    return found if isinstance(found, str) else None, reason if isinstance(reason, str) else None


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _reasons(votes: Sequence[Vote]) -> str:
    return "; ".join(dict.fromkeys(vote.no_label or "" for vote in votes))


def _short(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= _SHOWN else one_line[: _SHOWN - 1] + "…"
