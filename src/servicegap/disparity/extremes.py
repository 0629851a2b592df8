"""The largest difference between any two groups: biased upward, hence shrunk, with its null and interval.

Of several groups that do not differ at all, the highest and the lowest rate still lie apart by chance, the
further the fewer names and templates there are. Hence the difference is never shown bare.

Not here: gaps to a reference chosen beforehand (comparison.py), which have no such bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from servicegap.disparity.additive import TooLittleError, fit
from servicegap.disparity.cells import Cells, Floats
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.group_rates import check_level, rates_of
from servicegap.disparity.omnibus import strata_rows
from servicegap.disparity.selection import select
from servicegap.records import Estimate

DRAWS = 4_999
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class LargestGap:
    """The largest difference between two groups' rates.

    Attributes
    ----------
    raw : float or None
        Highest rate minus lowest, as observed: biased upward.
    expected : float or None
        What `raw` is on average in this design if the groups do not differ at all.
    estimate : Estimate
        Kind ``largest_gap``: `value` is `raw` shrunk (empirical Bayes), `low` and `high` its simultaneous
        interval, `p` from exchanging names between all groups; `group` and `reference` are those with the
        highest and the lowest rate.
    """

    raw: float | None
    expected: float | None
    estimate: Estimate


def largest_gap(
    cells: Cells, rng: np.random.Generator, *, level: float = 0.95, outcome_name: str = "outcome"
) -> LargestGap:
    """Estimate how far apart the groups with the highest and the lowest rate are.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates; two groups or more.
    rng : numpy Generator
        Draws arrangements of names, and the null.
    level : float
        Confidence level, between 0 and 1.
    outcome_name : str
        What the outcome is called in the estimate.

    Returns
    -------
    LargestGap
        Its estimate is undefined, with the reason, where some pair of groups cannot be compared.

    Raises
    ------
    DataError
        `level` outside 0 to 1.

    Notes
    -----
    With G groups, crossed intervals of all G (G - 1) / 2 pairs at 1 - alpha / pairs: the largest of their
    lower limits (at least 0) and the largest of their upper limits hold the largest true difference with
    confidence 1 - alpha. Shrunk: raw x (variance between groups - noise) / variance between groups. Null:
    normal groups with the noise that the crossed variances of the pairs leave to each.
    """
    check_level(level)
    rates = {group: rate.value for group, rate in rates_of(cells).items()}
    known = {group: value for group, value in rates.items() if value is not None}
    base = Estimate(
        kind="largest_gap",
        outcome=outcome_name,
        value=None,
        level=level,
        method="largest of all pairs, shrunk; crossed Welch, Bonferroni over pairs",
        n_responses=int(cells.responses.sum()),
        n_missing=int(cells.missing.sum()),
        n_signals=len(cells.signal),
        n_templates=len(cells.template),
    )
    if len(known) < 2 or len(known) < len(rates):
        return LargestGap(
            None, None, replace(base, note="fewer than two groups have a rate, or one has none")
        )
    highest, lowest = max(known, key=lambda g: known[g]), min(known, key=lambda g: known[g])
    raw = known[highest] - known[lowest]
    base = replace(base, group=highest, reference=lowest)
    pairs = _pairs(cells, level)
    lows, highs = [e.low for e in pairs.values()], [e.high for e in pairs.values()]
    variances = {pair: e.se**2 for pair, e in pairs.items() if e.se is not None}
    if len(variances) < len(pairs) or None in lows or None in highs:
        return LargestGap(raw, None, replace(base, note="some pair of groups has no standard error"))
    noise = _noise(cells.groups, variances)
    expected = float(np.ptp(rng.normal(0, np.sqrt(noise), (DRAWS, len(noise))), axis=1).mean())
    between = float(np.var(list(known.values()), ddof=1))
    kept = max(between - float(noise.mean()), 0.0) / between if between > 0 else 0.0
    p = _permutation_p(cells, rng)
    estimate = replace(
        base,
        value=kept * raw,
        low=max(
            *(low for low in lows if low is not None), *(-high for high in highs if high is not None), 0.0
        ),
        high=max(*(high for high in highs if high is not None), *(-low for low in lows if low is not None)),
        p=p,
        note=(
            f"observed {raw:.3f}; such a design shows {expected:.3f} on average if no group differs; "
            f"the value is shrunk by {1 - kept:.0%}; p from {DRAWS:,} arrangements of names, "
            "for these templates only"
        ),
    )
    return LargestGap(raw, expected, estimate)


def _pairs(cells: Cells, level: float) -> dict[tuple[str, str], Estimate]:
    """Return the gap of every pair of groups, at a level that holds for all together."""
    pairs = list(combinations(cells.groups, 2))
    shared = 1 - (1 - level) / len(pairs)
    found = {}
    for one, other in pairs:
        both = cells.take(rows=np.concatenate([cells.rows(one), cells.rows(other)]))
        found[one, other] = gaps_of(both, reference=other, level=shared)[one]
    return found


def _noise(groups: tuple[str, ...], variances: dict[tuple[str, str], float]) -> Floats:
    """Split the variances of the pairs' gaps into one for each group, by least squares."""
    design = np.array([[float(group in pair) for group in groups] for pair in variances])
    # With two groups the split is arbitrary; the smallest solution halves it.
    solution, *_ = np.linalg.lstsq(design, np.array(list(variances.values())), rcond=None)
    noise: Floats = np.maximum(solution, 0.0)
    return noise


def _permutation_p(cells: Cells, rng: np.random.Generator) -> float | None:
    """Exchange names between all groups, within the attributes known for all; p of the range of means."""
    try:
        chosen = select(cells, cells.groups, [np.arange(len(cells.template))])
        values = fit(np.vstack([row[0] for row in chosen.tables()])).names
    except TooLittleError:
        return None
    rows = np.concatenate(chosen.rows)
    own = np.repeat(np.arange(len(chosen.rows)), [len(part) for part in chosen.rows])
    sizes = np.bincount(own)
    attributes = {key: [known[row] for row in rows] for key, known in cells.attributes.items()}
    labels = np.tile(own, (DRAWS, 1))
    for members in strata_rows(attributes, len(own)):
        labels[:, members] = rng.permuted(labels[:, members], axis=1)

    def spread(numbers: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> Floats:
        means = np.stack([((numbers == g) * values).sum(axis=1) / sizes[g] for g in range(len(sizes))])
        widths: Floats = np.ptp(means, axis=0)
        return widths

    seen = float(spread(own[None, :])[0])
    return (int((spread(labels) >= seen - _SAME).sum()) + 1) / (DRAWS + 1)
