"""A panel of judges: the category that most of them give, and the responses they disagree on.

Judges can agree and be wrong together; where they disagree, people should look first. Not here: the judges
(judge.py), and who labels what they disagree on (the labelling round).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from servicegap.annotators.protocol import Judgement
from servicegap.records import CATEGORIES, AnnotatorKind, Category, content_hash
from servicegap.store import Store
from servicegap.tables import ANNOTATIONS

NAME: Final = "panel"


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one judge said of a response: its judgement, or an abstention (``category`` None)."""

    category: Category | None
    probabilities: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """Some judges as one annotator; ``judges`` = annotator -> version."""

    judges: Mapping[str, str]
    name: str = NAME
    kind: AnnotatorKind = "judge"

    @property
    def version(self) -> str:
        """Hash of who sits on it."""
        return content_hash(*(f"{name} {self.judges[name]}" for name in sorted(self.judges)))


def majority(opinions: Sequence[Opinion]) -> Judgement:
    """Return what a panel comes to.

    Parameters
    ----------
    opinions : sequence of Opinion
        One for each judge.

    Returns
    -------
    Judgement
        The category that more than half of all judges give, abstaining ones counted among them; else an
        abstention that says how they voted. ``probabilities`` are the mean of the judges' own, a judge
        without any counting as sure of its label.

    Examples
    --------
    >>> majority([Opinion("refusal"), Opinion("refusal"), Opinion("answer")]).category
    'refusal'
    >>> majority([Opinion("refusal"), Opinion("answer")]).abstain_reason
    'no majority among 2 judges: answer 1, refusal 1'
    """
    votes = Counter(opinion.category for opinion in opinions if opinion.category is not None)
    shares = [_shares(opinion) for opinion in opinions if opinion.category is not None]
    mean = tuple(sum(column) / len(shares) for column in zip(*shares, strict=True)) if shares else None
    for category, count in votes.most_common(1):
        if 2 * count > len(opinions):
            return Judgement(category, mean)
    counted = [f"{category} {votes[category]}" for category in CATEGORIES if votes[category]]
    abstained = len(opinions) - votes.total()
    told = ", ".join([*counted, *([f"no label {abstained}"] if abstained else [])])
    return Judgement(None, mean, f"no majority among {len(opinions)} judges: {told}")


def read_opinions(store: Store, judges: Mapping[str, str] | None = None) -> dict[str, list[Opinion]]:
    """Return what judges said of each response.

    Parameters
    ----------
    store : Store
    judges : mapping of str to str, optional
        Annotator -> version, to take these alone, and only responses that all of them have judged. By
        default every judge's latest version.

    Returns
    -------
    dict of str to list of Opinion
        Response -> one opinion for each judge that judged it.
    """
    columns = ANNOTATIONS.c
    query = (
        sa.select(
            columns.response, columns.annotator, columns.version, columns.category, columns.probabilities
        )
        .where(columns.kind == "judge", columns.annotator != NAME)
        .order_by(columns.id)
    )
    with store.reading() as connection:
        rows = connection.execute(query).all()
    latest: dict[str, dict[str, Opinion]] = {}
    for row in rows:
        if judges is None or judges.get(row.annotator) == row.version:
            latest.setdefault(row.response, {})[row.annotator] = _opinion(row)
    needed = 1 if judges is None else len(judges)
    return {
        response: list(opinions.values()) for response, opinions in latest.items() if len(opinions) >= needed
    }


def disagreements(store: Store) -> list[str]:
    """Return the responses that people should settle, as the judges do not say one and the same.

    They are those that got different categories, and those on which a judge abstained; where there is one
    judge, those on which it abstained.

    Returns
    -------
    list of str
        Identifiers of responses, the most disputed first: by the share of judges behind the commonest
        category (0 where none gave a label), then by identifier.
    """
    support = {response: _support(opinions) for response, opinions in read_opinions(store).items()}
    disputed = [response for response, share in support.items() if share < 1]
    return sorted(disputed, key=lambda response: (support[response], response))


def _support(opinions: Sequence[Opinion]) -> float:
    votes = Counter(opinion.category for opinion in opinions if opinion.category is not None)
    return max(votes.values(), default=0) / len(opinions)


def _shares(opinion: Opinion) -> tuple[float, ...]:
    if opinion.probabilities is not None:
        return opinion.probabilities
    return tuple(float(category == opinion.category) for category in CATEGORIES)


def _opinion(row: Any) -> Opinion:
    return Opinion(row.category, tuple(json.loads(row.probabilities)) if row.probabilities else None)
