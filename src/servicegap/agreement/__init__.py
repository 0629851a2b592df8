"""How far annotators agree: percent, Cohen, Fleiss, Krippendorff, Gwet, with intervals over templates.

The parts: agreement_ratings.py (input), agreement_coefficients.py (formulas), agreement_bootstrap.py
(intervals). docs/agreement.md says how to read the figures.

Not here: whether the labels are right, and correction for automatic labels that are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import numpy as np

from servicegap.agreement.bootstrap import LEAST_CLUSTERS, Resampled, resample_clusters
from servicegap.agreement.coefficients import (
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
from servicegap.agreement.ratings import Ratings
from servicegap.errors import DataError

#: Where fewer templates than this hold all the disagreement, intervals were too short in simulations.
FEW_CLUSTERS = 10

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
        The labels, from :func:`~servicegap.agreement.ratings.collect_ratings`.
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
    >>> from servicegap.agreement.ratings import collect_ratings
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
    resample = partial(resample_clusters, rng=rng, level=level, replicates=replicates)
    found: list[Agreement] = []
    for part in _parts(ratings):
        found += _of_part(part, level, resample)
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

    @property
    def cluster(self) -> str:
        """What is resampled."""
        return "template" if self.ratings.templates else "item"

    def n_clusters(self, pairs: LabelPairs) -> int:
        """Count the clusters of some pairs."""
        return len(np.unique(pairs.template if self.ratings.templates else pairs.item))


@dataclass(frozen=True, slots=True)
class _Figure:
    """A record without its value, the clusters where labels are compared, and those where some differ.

    The last is None where no label that is compared is of the category.
    """

    blank: Agreement
    n_clusters: int
    n_differing: int | None


def _parts(ratings: Ratings) -> Iterator[_Part]:
    yield _Part(ratings, label_pairs(ratings), {})
    for kind in ("group", "round", "background"):
        for number, name in enumerate(getattr(ratings, f"{kind}s")):
            inside = ratings.take(getattr(ratings, kind) == number)
            yield _Part(inside, label_pairs(inside), {kind: name})
    told = np.full(len(ratings.annotators), -1)
    told[ratings.annotator] = ratings.background
    for one, other in combinations(range(len(ratings.backgrounds)), 2):
        inside = ratings.take(np.isin(ratings.background, (one, other)))
        pairs = label_pairs(inside)
        of = {"background": ratings.backgrounds[one], "other_background": ratings.backgrounds[other]}
        yield _Part(inside, pairs.take(told[pairs.first] != told[pairs.second]), of)


def _of_part(part: _Part, level: float, resample: Callable[..., Resampled]) -> Iterator[Agreement]:
    measures: tuple[Measure, ...] = ("percent", "cohen") if part.across else MEASURES
    figures = _of_everyone(part, level, measures)
    sharing: list[list[int]] = []
    if len(part.pairs.item):
        sums = cluster_sums(part.ratings, part.pairs)
        sharing = [] if part.of else sums.annotators.tolist()
        figures += [_of_two(part, level, one, other) for one, other in sharing]

        def compute(totals: Floats) -> Floats:
            found = (coefficients_across if part.across else coefficients)(totals, sums)
            each = cohen_pairs(totals, sums)[0][:, : len(sharing), 0]
            return np.concatenate([*(found[measure] for measure in measures), each], axis=1)

        drawn = resample(sums.table, compute, np.array([figure.n_clusters for figure in figures]))
        total = np.asarray(sums.table.sum(axis=0), dtype=float)[None, :]
        undefined = np.isnan(cohen_pairs(total, sums)[0][0]).sum(axis=0)
        for number, figure in enumerate(figures):
            left_out = int(undefined[number % len(undefined)]) if _is_mean(figure.blank) else 0
            yield _filled(figure, drawn, number, left_out, part)
    else:
        yield from (replace(figure.blank, note=_nothing_to_compare(part.ratings)) for figure in figures)
    if not part.of:
        yield from _without_shared_items(part, level, sharing)


def _of_everyone(part: _Part, level: float, measures: tuple[Measure, ...]) -> list[_Figure]:
    """Describe the figures over all annotators: each measure over all categories, then for each category."""
    pairs = part.pairs
    differ = pairs.label_first != pairs.label_second
    of: dict[str | None, int | None] = {None: part.n_clusters(pairs.take(differ))}
    for number, category in enumerate(part.ratings.categories):
        chosen = (pairs.label_first == number) | (pairs.label_second == number)
        of[category] = part.n_clusters(pairs.take(differ & chosen)) if chosen.any() else None
    blank = _blank(part, pairs, level)
    return [
        _Figure(replace(blank, measure=measure, category=category), part.n_clusters(pairs), n_differing)
        for measure in measures
        for category, n_differing in of.items()
    ]


def _of_two(part: _Part, level: float, one: int, other: int) -> _Figure:
    """Describe Cohen's kappa of two annotators."""
    pairs = part.pairs.take((part.pairs.first == one) & (part.pairs.second == other))
    names = part.ratings.annotators[one], part.ratings.annotators[other]
    blank = replace(_blank(part, pairs, level), measure="cohen", annotators=names, n_annotators=2)
    differ = pairs.label_first != pairs.label_second
    return _Figure(blank, part.n_clusters(pairs), part.n_clusters(pairs.take(differ)))


def _blank(part: _Part, pairs: LabelPairs, level: float) -> Agreement:
    return Agreement(
        measure="percent",
        value=None,
        level=level,
        n_items=len(np.unique(pairs.item)),
        n_annotators=len(np.unique(part.ratings.annotator)),
        n_pairs=len(pairs.item),
        n_templates=part.n_clusters(pairs) if part.ratings.templates else None,
        **part.of,  # type: ignore[arg-type]  # the keys are those of fields that hold text
    )


def _without_shared_items(part: _Part, level: float, sharing: list[list[int]]) -> Iterator[Agreement]:
    for one, other in combinations(range(len(part.ratings.annotators)), 2):
        if [one, other] not in sharing:
            yield replace(_of_two(part, level, one, other).blank, note="these two labelled no item in common")


def _is_mean(blank: Agreement) -> bool:
    return blank.measure == "cohen" and blank.annotators is None


def _filled(figure: _Figure, drawn: Resampled, number: int, left_out: int, part: _Part) -> Agreement:
    """Put a figure and its interval into its record, or the reasons why there are none."""
    blank, value, low, high = figure.blank, drawn.value[number], drawn.low[number], drawn.high[number]
    if figure.n_differing is None:
        return replace(blank, note=f"no label that is compared is {blank.category!r}")
    if np.isnan(value):
        few = blank.measure == "ac1" and len(part.ratings.categories) < 2
        return replace(blank, note=_ONE_CATEGORY if few else _ALL_ALIKE)
    notes = []
    if figure.n_clusters < LEAST_CLUSTERS:
        told = f"{figure.n_clusters} {part.cluster}s with labels to compare"
        notes.append(f"{told}; an interval needs {LEAST_CLUSTERS} or more")
    elif not drawn.varied[number]:
        seen = "no disagreement was seen" if value == 1 else "all resamples give the same"
        notes.append(f"{seen}, so resampling {part.cluster}s gives no interval")
    elif np.isnan(low):
        notes.append(f"undefined in {1 - drawn.defined[number]:.0%} of the resamples, so without an interval")
    elif figure.n_differing < FEW_CLUSTERS:
        held = f"all disagreement is in {figure.n_differing} {part.cluster}s"
        notes.append(f"{held}: the interval is likely too short")
    if left_out:
        notes.append(f"the mean leaves out {left_out} pairs of annotators, whose kappa is undefined")
    limits = (None, None) if np.isnan(low) else (float(low), float(high))
    return replace(
        blank, value=float(value), low=limits[0], high=limits[1], note="; ".join(notes) if notes else None
    )


def _nothing_to_compare(ratings: Ratings) -> str:
    names = [ratings.annotators[number] for number in np.unique(ratings.annotator)]
    if not names:
        return "there are no labels"
    if len(names) == 1:
        return f"all labels are by one annotator ({names[0]!r}); agreement needs two"
    return "no item has the labels of two annotators that can be compared"


_ALL_ALIKE = "only one category among the labels compared: chance alone would agree, so this is undefined"
_ONE_CATEGORY = "one category only; give `categories`, all that could be chosen"
