"""What missing labels can do to a gap: its bounds in the worst case, and whether they fall unevenly.

Not here: incomplete designs as such (crossed.py makes names and templates equal by least squares, which is
right when labels are missing by chance).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from servicegap.disparity.cells import Cells
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.omnibus import DRAWS, permute_profiles
from servicegap.records import Estimate

_SIGNIFICANT = 0.05
_ROUNDING = 1e-9


def worst_case(cells: Cells, group: str, reference: str, *, outcome_name: str = "outcome") -> Estimate:
    """Bound the gap by what the missing labels could have been.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates, of an outcome within 0 to 1.
    group, reference : str
        The groups compared.
    outcome_name : str
        What the outcome is called in the estimate.

    Returns
    -------
    Estimate
        Kind ``gap_bounds``: `low` and `high` are the gap if every missing label of the group were 0 and every
        one of the reference 1, and the other way round. They hold for these responses with certainty and say
        nothing of new names and templates, hence no level. None for numeric outcomes, which have no worst
        case.

    References
    ----------
    Manski (1990), American Economic Review 80(2), 319-323.
    """
    both = cells.take(rows=np.concatenate([cells.rows(group), cells.rows(reference)]))
    base = replace(
        gaps_of(both, reference=reference, outcome_name=outcome_name)[group],
        kind="gap_bounds",
        low=None,
        high=None,
        level=None,
        se=None,
        df=None,
        p=None,
        method="worst case of missing labels",
        note=None,
    )
    if cells.scale == "number":
        return replace(base, note="a number without limits has no worst case")
    seen = ~np.isnan(both.mean)
    known, total = np.where(seen, both.responses, 0), both.responses + both.missing
    weight = np.maximum(total, 1)  # a name never asked in a template: one missing response
    filled = np.where(seen, both.mean, 0.0) * known
    least, most = filled / weight, (filled + weight - known) / weight
    own, other = both.rows(group), both.rows(reference)
    low, high = least[own].mean() - most[other].mean(), most[own].mean() - least[other].mean()
    missing = int((weight - known).sum())
    note = (
        f"whatever the {missing} missing labels are, the gap of these responses lies between these limits"
        if missing
        else "no label is missing"
    )
    if base.value is not None and not low - _ROUNDING <= base.value <= high + _ROUNDING:
        base = replace(base, value=None)
        note += (
            "; the estimated gap lies outside, as least squares takes what names and templates make likely "
            "for what is missing, on the templates that can be compared"
        )
    return replace(base, low=float(low), high=float(high), note=note)


def missingness_test(cells: Cells, rng: np.random.Generator) -> Estimate:
    """Test whether labels are missing more often in some groups, or in some groups' templates.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates; two groups or more.
    rng : numpy Generator
        Draws the arrangements of names.

    Returns
    -------
    Estimate
        Kind ``missingness``: `value` is the share missing of names x templates, `p` the chance of differences
        between groups, over all templates, as large as these if names were exchanged between groups. p None
        when none is missing.

    Notes
    -----
    Statistic: sum over groups and templates of K_g (share missing in group and template - share in
    template)^2.
    """
    total = cells.responses + cells.missing
    # A name never asked in a template counts as missing there: tables often leave such rows out.
    share = np.divide(cells.missing, total, out=np.ones(total.shape), where=total > 0)
    base = Estimate(
        kind="missingness",
        outcome="missing",
        value=float(share.mean()),
        method="permutation of names",
        n_responses=int(cells.responses.sum()),
        n_missing=int(cells.missing.sum()),
        n_signals=len(cells.signal),
        n_templates=len(cells.template),
    )
    if not share.any():
        return replace(base, note="no label is missing")
    if len(cells.groups) < 2:
        return replace(base, note="there is one group only")
    p = permute_profiles(share, cells.group, cells.attributes, rng)
    verdict = "depends" if p < _SIGNIFICANT else "is not seen to depend"
    note = (
        f"which labels are missing {verdict} on group, or on group x template ({DRAWS:,} arrangements drawn)"
    )
    return replace(base, p=p, note=note)
