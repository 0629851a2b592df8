"""Which two categories annotators take for one another, most often first.

Not here: who is right (a third person's decision says that).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from servicegap.agreement.coefficients import label_pairs
from servicegap.agreement.ratings import Ratings


@dataclass(frozen=True, slots=True)
class Confusion:
    """Two categories that annotators gave to the same items.

    Attributes
    ----------
    categories : (str, str)
        The two, in the order of the ratings' categories.
    n_pairs : int
        Pairs of labels, one of each.
    share : float
        Of all pairs of labels that differ (0 to 1); the shares of all confusions sum to 1.
    rate : float
        Of the pairs of labels in which either of the two stands (0 to 1); 1 = never agreed upon.
    items : tuple of str
        The items labelled so, those with the most such pairs first.
    """

    categories: tuple[str, str]
    n_pairs: int
    share: float
    rate: float
    items: tuple[str, ...]


def confusions(ratings: Ratings) -> tuple[Confusion, ...]:
    """Return every two categories that were confused, those with the most pairs of labels first.

    Parameters
    ----------
    ratings : Ratings
        The labels; labels of different rounds are not compared.

    Returns
    -------
    tuple of Confusion
        Empty where nobody disagrees (or nothing can be compared).

    Examples
    --------
    >>> from servicegap.agreement.ratings import collect_ratings
    >>> confusions(collect_ratings([1, 1, 2, 2], ["ann", "ben"] * 2, ["yes", "yes", "yes", "no"]))
    (Confusion(categories=('no', 'yes'), n_pairs=1, share=1.0, rate=0.5, items=('2',)),)
    """
    pairs = label_pairs(ratings)
    low = np.minimum(pairs.label_first, pairs.label_second)
    high = np.maximum(pairs.label_first, pairs.label_second)
    n_different = int((low != high).sum())
    found = []
    for one, other in sorted(set(zip(low.tolist(), high.tolist(), strict=True))):
        if one == other:
            continue
        these = (low == one) & (high == other)
        either = np.isin(low, (one, other)) | np.isin(high, (one, other))
        items, times = np.unique(pairs.item[these], return_counts=True)
        count = int(these.sum())
        found.append(
            Confusion(
                categories=(ratings.categories[one], ratings.categories[other]),
                n_pairs=count,
                share=count / n_different,
                rate=count / int(either.sum()),
                items=tuple(ratings.items[item] for item in items[np.argsort(-times, kind="stable")]),
            )
        )
    return tuple(sorted(found, key=lambda confusion: -confusion.n_pairs))
