"""The coefficients of agreement, as functions of sums over clusters.

Each coefficient is a function of sums that can be added over items: so a bootstrap over clusters needs
the sums of each cluster once, and never goes back to the labels.

With r_ik the number of annotators who gave item i category k, and n_i = sum_k r_ik, the sums are

=========  ======================================================  ================================
`compared` number of items with n_i >= 2                           percent, Fleiss, AC1
`split`    sum_i r_ik (n_i - r_ik) / (n_i (n_i - 1)), n_i >= 2     percent, Fleiss, AC1
`chosen`   sum_i r_ik / n_i, n_i >= 1                              Fleiss, AC1: chance agreement
`observed` sum_i r_ik (n_i - r_ik) / (n_i - 1), n_i >= 2           alpha: observed disagreement
`paired`   sum_i r_ik, n_i >= 2                                    alpha: expected disagreement
`shared`   for each pair of annotators: items that both labelled,  Cohen
           then, for each category, those that both, the first,
           the second gave it
=========  ======================================================  ================================

Not here: intervals, records, words (agreement/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array

from servicegap.agreement.ratings import Codes, Ratings

Floats = NDArray[np.float64]
Measure = Literal["percent", "cohen", "fleiss", "alpha", "ac1"]
MEASURES: tuple[Measure, ...] = ("percent", "cohen", "fleiss", "alpha", "ac1")

#: Chance agreement closer to 1 than this is 1 (sums in another order).
_SAME = 1e-12


@dataclass(frozen=True, slots=True)
class LabelPairs:
    """Every two labels of one item (in one round) by two annotators, in the order of the annotators.

    Attributes
    ----------
    item, template, first, second, label_first, label_second : (n_pairs,) int
        Positions in the names of the ratings; `first` < `second` are the annotators.
    """

    item: Codes
    template: Codes
    first: Codes
    second: Codes
    label_first: Codes
    label_second: Codes

    def take(self, rows: NDArray[np.bool_]) -> LabelPairs:
        """Return some of the pairs alone."""
        return LabelPairs(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of each cluster.

    Attributes
    ----------
    table : (n_clusters, n_sums) sparse float
        One row a cluster: `compared`; `split`, `chosen`, `observed`, `paired` of each category; then
        the `shared` of each pair of annotators.
    n_categories : int
        How many categories could be chosen.
    annotators : (n_annotator_pairs, 2) int
        The pairs that share an item.
    """

    table: csr_array
    n_categories: int
    annotators: Codes


def label_pairs(ratings: Ratings) -> LabelPairs:
    """Return every two labels that are compared.

    Parameters
    ----------
    ratings : Ratings
        The labels.
    """
    unit = _units(ratings)
    order = np.lexsort((ratings.annotator, unit))
    ordered = unit[order]
    found: list[NDArray[np.intp]] = []
    for distance in range(1, int(np.bincount(unit).max(initial=0))):
        start = np.flatnonzero(ordered[distance:] == ordered[:-distance])
        found.append(np.stack((order[start], order[start + distance])))
    one, other = np.concatenate(found, axis=1) if found else np.zeros((2, 0), dtype=np.intp)
    return LabelPairs(
        item=ratings.item[one],
        template=ratings.template[one],
        first=ratings.annotator[one],
        second=ratings.annotator[other],
        label_first=ratings.label[one],
        label_second=ratings.label[other],
    )


def cluster_sums(ratings: Ratings, pairs: LabelPairs) -> Sums:
    """Return the sums of each cluster: of each template, or of each item where no template is known.

    Parameters
    ----------
    ratings : Ratings
        The labels, one or more.
    pairs : LabelPairs
        Those of the ratings' pairs whose annotators are compared by Cohen's kappa.
    """
    n_categories = len(ratings.categories)
    known = bool(ratings.templates)
    clusters = np.unique(ratings.template if known else ratings.item)
    cells = _item_sums(ratings, clusters, known=known)
    code = pairs.first * len(ratings.annotators) + pairs.second
    kept, place = np.unique(code, return_inverse=True)
    begin = 1 + 4 * n_categories + place * (1 + 3 * n_categories)
    same = pairs.label_first == pairs.label_second
    cluster = np.searchsorted(clusters, pairs.template if known else pairs.item)
    cells += [
        (cluster, begin, np.ones(len(begin))),
        (cluster[same], begin[same] + 1 + pairs.label_first[same], np.ones(int(same.sum()))),
        (cluster, begin + 1 + n_categories + pairs.label_first, np.ones(len(begin))),
        (cluster, begin + 1 + 2 * n_categories + pairs.label_second, np.ones(len(begin))),
    ]
    rows, columns, values = (np.concatenate(parts) for parts in zip(*cells, strict=True))
    width = 1 + 4 * n_categories + len(kept) * (1 + 3 * n_categories)
    table = coo_array((values, (rows, columns)), shape=(len(clusters), width)).tocsr()
    return Sums(table, n_categories, np.stack(np.divmod(kept, len(ratings.annotators)), axis=1))


def coefficients(totals: Floats, sums: Sums) -> Mapping[Measure, Floats]:
    """Return each coefficient, over all categories and for each against the rest.

    Parameters
    ----------
    totals : (n_totals, n_sums) float
        Sums over clusters: one row for the data, or for each resample.
    sums : Sums
        Says what the columns are.

    Returns
    -------
    mapping of measure to (n_totals, 1 + n_categories) float
        Column 0 over all categories, then one for each; NaN = undefined. All are at most 1 = always the
        same label; 0 is what chance would give, except for percent agreement.

    References
    ----------
    Gwet (2014), Handbook of Inter-Rater Reliability, 4th ed., ch. 2: percent agreement, Fleiss' kappa and
    AC1 with labels missing (every item with two labels counts the same; chance agreement from all items).
    Krippendorff (2011), Computing Krippendorff's alpha-reliability, section C: nominal alpha. Cohen (1960);
    over pairs of annotators the mean of Light (1971), but weighted by the items that a pair shares.
    """
    q = sums.n_categories
    compared = totals[:, :1]
    split, chosen, observed, paired = (totals[:, 1 + i * q : 1 + (i + 1) * q] for i in range(4))
    agreed = 1 - _divide(_all_and_each(split), compared)
    share = _divide(chosen, chosen.sum(axis=1, keepdims=True))
    differ = _all_and_each(share * (1 - share))
    by_chance_ac1 = differ.copy()
    by_chance_ac1[:, 0] = differ[:, 0] / (q - 1) if q > 1 else np.nan
    n = paired.sum(axis=1, keepdims=True)
    expected = _divide(_all_and_each(paired * (n - paired)), n * (n - 1))
    return {
        "percent": agreed,
        "cohen": _cohen_mean(totals, sums),
        "fleiss": _beyond(agreed, 1 - differ),
        "alpha": _beyond(1 - _divide(_all_and_each(observed), n), 1 - expected),
        "ac1": _beyond(agreed, by_chance_ac1),
    }


def cohen_pairs(totals: Floats, sums: Sums) -> tuple[Floats, Floats]:
    """Return Cohen's kappa of each pair of annotators, and the items they share.

    Parameters
    ----------
    totals, sums
        As for :func:`coefficients`.

    Returns
    -------
    kappa : (n_totals, n_annotator_pairs, 1 + n_categories) float
        Over all categories, then for each against the rest; NaN = undefined.
    shared : (n_totals, n_annotator_pairs, 1) float
        Items that both labelled.
    """
    q = sums.n_categories
    table = totals[:, 1 + 4 * q :].reshape(len(totals), len(sums.annotators), 1 + 3 * q)
    shared = table[:, :, :1]
    both, first, second = (table[:, :, 1 + i * q : 1 + (i + 1) * q] for i in range(3))
    agreed = 1 - _divide(_all_and_each((first + second - 2 * both) / 2), shared)
    p, r = _divide(first, shared), _divide(second, shared)
    expected = _all_and_each((p * (1 - r) + r * (1 - p)) / 2)
    return _beyond(agreed, 1 - expected), shared


def coefficients_across(totals: Floats, sums: Sums) -> Mapping[Measure, Floats]:
    """Return percent agreement and the mean of Cohen's kappa over the annotator pairs in `sums` alone.

    Parameters
    ----------
    totals, sums
        As for :func:`coefficients`; so is the result, but every pair of labels counts the same.
    """
    q = sums.n_categories
    table = totals[:, 1 + 4 * q :].reshape(len(totals), len(sums.annotators), 1 + 3 * q).sum(axis=1)
    both, first, second = (table[:, 1 + i * q : 1 + (i + 1) * q] for i in range(3))
    percent = 1 - _divide(_all_and_each((first + second - 2 * both) / 2), table[:, :1])
    return {"percent": percent, "cohen": _cohen_mean(totals, sums)}


def _units(ratings: Ratings) -> Codes:
    """Give each item in each round a number."""
    unit = np.unique(ratings.item * (len(ratings.rounds) + 1) + ratings.round + 1, return_inverse=True)[1]
    numbered: Codes = unit.astype(np.int64)
    return numbered


def _item_sums(
    ratings: Ratings, clusters: Codes, *, known: bool
) -> list[tuple[NDArray[np.intp], NDArray[np.intp], Floats]]:
    """Cluster, column and value of every sum that comes from counts of labels."""
    unit, q = _units(ratings), len(ratings.categories)
    counts = np.bincount(unit * q + ratings.label, minlength=(int(unit.max(initial=-1)) + 1) * q)
    counts = counts.reshape(-1, q).astype(float)
    cluster = np.zeros(len(counts), dtype=np.intp)
    cluster[unit] = np.searchsorted(clusters, ratings.template if known else ratings.item)
    n = counts.sum(axis=1, keepdims=True)
    several = n[:, 0] >= 2
    apart = np.zeros_like(counts)
    apart[several] = counts[several] * (n - counts)[several] / (n - 1)[several]
    blocks = (apart / n, counts / n, apart, np.where(several[:, None], counts, 0.0))
    cells = [(cluster[several], np.zeros(int(several.sum()), dtype=np.intp), np.ones(int(several.sum())))]
    for number, block in enumerate(blocks):
        row, column = np.nonzero(block)
        cells.append((cluster[row], 1 + number * q + column, block[row, column]))
    return cells


def _all_and_each(parts: Floats) -> Floats:
    """Disagreement over all categories, then of each against the rest.

    A disagreement between two categories stands in the parts of both: so the parts' sum is the whole, and
    twice a part is what is left when the other categories are one.
    """
    whole: Floats = np.concatenate((parts.sum(axis=-1, keepdims=True), 2 * parts), axis=-1)
    return whole


def _cohen_mean(totals: Floats, sums: Sums) -> Floats:
    kappa, shared = cohen_pairs(totals, sums)
    weight = np.where(np.isnan(kappa), 0.0, shared)
    return _divide((np.nan_to_num(kappa) * weight).sum(axis=1), weight.sum(axis=1))


def _beyond(agreed: Floats, by_chance: Floats) -> Floats:
    """Agreement beyond chance, as a share of what there could be."""
    room = 1 - by_chance
    return _divide(agreed - by_chance, np.where(room > _SAME, room, 0.0))


def _divide(above: Floats, below: Floats) -> Floats:
    above, below = np.broadcast_arrays(above, below)
    ratio: Floats = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return ratio
