"""How far annotators agree: percent, Cohen, Fleiss, Krippendorff, Gwet, with intervals over templates.

The parts: agreement_ratings.py (input), agreement_coefficients.py (formulas), agreement_bootstrap.py
(intervals). docs/agreement.md says how to read the figures.

Not here: whether the labels are right, and correction for automatic labels that are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from servicegap.agreement_bootstrap import LEAST_CLUSTERS, Resampled, resample_clusters
from servicegap.agreement_coefficients import (
    MEASURES,
    Floats,
    LabelPairs,
    Measure,
    cluster_sums,
    coefficients,
    coefficients_across,
    cohen_pairs,
    label_pairs,
)
from servicegap.agreement_ratings import Ratings
from servicegap.errors import DataError

#: With fewer templates than this the interval was too short in simulations (85 to 90 % for 95 %).
FEW_TEMPLATES = 10

_LEAST_REPLICATES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One figure of agreement, and what it is of. What cannot be computed is None, and `note` says why.

    Attributes
    ----------
    measure : str
        ``percent`` (0 to 1), or beyond chance (1 = complete, 0 = as by chance): ``cohen``, ``fleiss``,
        ``alpha`` (Krippendorff), ``ac1`` (Gwet).
    value, low, high : float or None
        The figure and the limits of its interval at confidence `level`.
    category : str or None
        Set where the category is taken against all others together.
    group, round, background : str or None
        Set where only the labels of items about that group, of that round, or by annotators of that
        background are compared.
    other_background : str or None
        Set where only labels across `background` and this one are compared.
    annotators : (str, str) or None
        Set for Cohen's kappa of these two; without it Cohen's kappa is the mean over pairs of annotators.
    n_items : int
        Items with labels of two annotators or more.
    n_annotators : int
        Annotators with a label.
    n_pairs : int
        Pairs of labels that are compared.
    n_templates : int or None
        Templates with such pairs; None where templates are not known and items are resampled instead.
    """

    measure: Measure
    value: float | None
    low: float | None = None
    high: float | None = None
    level: float
    category: str | None = None
    group: str | None = None
    round: str | None = None
    background: str | None = None
    other_background: str | None = None
    annotators: tuple[str, str] | None = None
    n_items: int
    n_annotators: int
    n_pairs: int
    n_templates: int | None
    note: str | None = None


def agreement(
    ratings: Ratings, rng: np.random.Generator, *, level: float = 0.95, replicates: int = 1_000
) -> tuple[Agreement, ...]:
    """Return every measure of agreement: overall and for each group, round and background.

    Each of these parts comes with one figure over all categories and one for each category against the
    rest; overall there is also Cohen's kappa of each pair of annotators. Two backgrounds are also compared
    across: percent (every pair of labels counts the same) and Cohen's kappa.

    Parameters
    ----------
    ratings : Ratings
        The labels, from :func:`~servicegap.agreement_ratings.collect_ratings`.
    rng : numpy Generator
        Draws the resamples.
    level : float
        Confidence of the intervals. They speak of other templates labelled by the same annotators.
    replicates : int
        Resamples, 100 or more.

    Returns
    -------
    tuple of Agreement
        The overall ones first.

    Raises
    ------
    DataError
        A level not between 0 and 1, fewer than 100 replicates.

    Examples
    --------
    >>> from servicegap.agreement_ratings import collect_ratings
    >>> ratings = collect_ratings([1, 1, 2, 2], ["ann", "ben"] * 2, ["yes", "yes", "yes", "no"])
    >>> found = agreement(ratings, np.random.default_rng(1))
    >>> found[0].measure, found[0].value, found[0].note
    ('percent', 0.5, '2 items with labels to compare; an interval needs 5 or more')
    """
    problems = [] if 0 < level < 1 else [f"level is {level}; give a confidence between 0 and 1, such as 0.95"]
    if replicates < _LEAST_REPLICATES:
        problems.append(f"replicates is {replicates}; give {_LEAST_REPLICATES} or more")
    if problems:
        raise DataError(*problems)
    found: list[Agreement] = []
    for part in _parts(ratings):
        found += _of_part(part, rng, level, replicates)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Part:
    """Labels that are compared with one another, and what they have in common."""

    ratings: Ratings
    pairs: LabelPairs
    of: Mapping[str, str]

    @property
    def across(self) -> bool:
        """Whether only labels from either side of two backgrounds are compared."""
        return "other_background" in self.of


def _parts(ratings: Ratings) -> Iterator[_Part]:
    yield _Part(ratings, label_pairs(ratings), {})
    for kind, names, codes in (
        ("group", ratings.groups, ratings.group),
        ("round", ratings.rounds, ratings.round),
        ("background", ratings.backgrounds, ratings.background),
    ):
        for number, name in enumerate(names):
            inside = ratings.take(codes == number)
            yield _Part(inside, label_pairs(inside), {kind: name})
    told = np.full(len(ratings.annotators), -1)
    told[ratings.annotator] = ratings.background
    for one, other in combinations(range(len(ratings.backgrounds)), 2):
        inside = ratings.take(np.isin(ratings.background, (one, other)))
        pairs = label_pairs(inside)
        of = {"background": ratings.backgrounds[one], "other_background": ratings.backgrounds[other]}
        yield _Part(inside, pairs.take(told[pairs.first] != told[pairs.second]), of)


def _of_part(part: _Part, rng: np.random.Generator, level: float, replicates: int) -> Iterator[Agreement]:
    measures: tuple[Measure, ...] = ("percent", "cohen") if part.across else MEASURES
    blank = _blank(part, part.pairs, level)
    blanks = [
        replace(blank, measure=measure, category=category)
        for measure in measures
        for category in (None, *part.ratings.categories)
    ]
    if not len(part.pairs.item):
        yield from (replace(blank, note=_nothing_to_compare(part.ratings)) for blank in blanks)
        return
    sums = cluster_sums(part.ratings, part.pairs)
    of_two = [] if part.of else [_of_two(part, level, *two) for two in sums.annotators.tolist()]

    def figures(totals: Floats) -> Floats:
        found = (coefficients_across if part.across else coefficients)(totals, sums)
        columns = [found[measure] for measure in measures]
        return np.concatenate([*columns, cohen_pairs(totals, sums)[0][:, : len(of_two), 0]], axis=1)

    n_clusters = np.array([n for _, n in [(blank, _n_clusters(part, part.pairs))] * len(blanks) + of_two])
    found = resample_clusters(sums.table, figures, n_clusters, rng, level=level, replicates=replicates)
    total = np.asarray(sums.table.sum(axis=0), dtype=float)[None, :]
    lacking = np.isnan(cohen_pairs(total, sums)[0][0]).sum(axis=0)
    used = set(np.union1d(part.pairs.label_first, part.pairs.label_second).tolist())
    chosen = {part.ratings.categories[number] for number in used}
    for number, blank in enumerate(blanks + [blank for blank, _ in of_two]):
        if blank.category is not None and blank.category not in chosen:
            yield replace(blank, note=f"no label that is compared is {blank.category!r}")
        else:
            filled = _filled(blank, found, number, int(n_clusters[number]), part)
            undefined = lacking[number % len(lacking)] if blank.annotators is None else 0
            yield _with_left_out(filled, int(undefined)) if blank.measure == "cohen" else filled
    yield from [] if part.of else _without_shared_items(part, level, sums.annotators.tolist())


def _blank(part: _Part, pairs: LabelPairs, level: float) -> Agreement:
    return Agreement(
        measure="percent",
        value=None,
        level=level,
        n_items=len(np.unique(pairs.item)),
        n_annotators=len(np.unique(part.ratings.annotator)),
        n_pairs=len(pairs.item),
        n_templates=_n_clusters(part, pairs) if part.ratings.templates else None,
        **part.of,  # type: ignore[arg-type]  # the keys are those of fields that hold text
    )


def _of_two(part: _Part, level: float, one: int, other: int) -> tuple[Agreement, int]:
    """Two annotators' record without its value, and the clusters in which they are compared."""
    pairs = part.pairs.take((part.pairs.first == one) & (part.pairs.second == other))
    names = part.ratings.annotators[one], part.ratings.annotators[other]
    blank = replace(_blank(part, pairs, level), measure="cohen", annotators=names, n_annotators=2)
    return blank, _n_clusters(part, pairs)


def _without_shared_items(part: _Part, level: float, sharing: list[list[int]]) -> Iterator[Agreement]:
    for one, other in combinations(range(len(part.ratings.annotators)), 2):
        if [one, other] not in sharing:
            blank, _ = _of_two(part, level, one, other)
            yield replace(blank, note="these two labelled no item in common")


def _n_clusters(part: _Part, pairs: LabelPairs) -> int:
    return len(np.unique(pairs.template if part.ratings.templates else pairs.item))


def _filled(blank: Agreement, found: Resampled, number: int, n_clusters: int, part: _Part) -> Agreement:
    """Put a figure and its interval into its record, or the reasons why there are none."""
    if np.isnan(found.value[number]):
        few = blank.measure == "ac1" and len(part.ratings.categories) < 2
        return replace(blank, note=_ONE_CATEGORY if few else _ALL_ALIKE)
    value = float(found.value[number])
    kind = "templates" if part.ratings.templates else "items"
    remark = None
    if n_clusters < LEAST_CLUSTERS:
        remark = f"{n_clusters} {kind} with labels to compare; an interval needs {LEAST_CLUSTERS} or more"
    elif not found.varied[number]:
        remark = "no disagreement was seen" if value == 1 else "all resamples give the same"
        remark += f", so resampling {kind} gives no interval"
    elif np.isnan(found.low[number]):
        remark = f"undefined in {1 - found.defined[number]:.0%} of the resamples, so there is no interval"
    elif n_clusters < FEW_TEMPLATES:
        remark = f"{n_clusters} {kind} only: the interval is likely too short"
    if remark is not None and np.isnan(found.low[number]):
        return replace(blank, value=value, note=remark)
    low, high = float(found.low[number]), float(found.high[number])
    return replace(blank, value=value, low=low, high=high, note=remark)


def _with_left_out(mean: Agreement, undefined: int) -> Agreement:
    """Say how many pairs of annotators a mean leaves out."""
    if mean.value is None or not undefined:
        return mean
    told = f"the mean leaves out {undefined} pairs of annotators, whose kappa is undefined"
    return replace(mean, note=told if mean.note is None else f"{mean.note}; {told}")


def _nothing_to_compare(ratings: Ratings) -> str:
    names = [ratings.annotators[number] for number in np.unique(ratings.annotator)]
    if not names:
        return "there are no labels"
    if len(names) == 1:
        return f"all labels are by one annotator ({names[0]!r}); agreement needs two"
    return "no item has the labels of two annotators that can be compared"


_ALL_ALIKE = "only one category among the labels compared: chance alone would agree, so this is undefined"
_ONE_CATEGORY = "one category only; give `categories`, all that could be chosen"
