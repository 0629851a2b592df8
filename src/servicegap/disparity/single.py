"""Figures of single names and single templates: rates of names, raw and shrunk; gaps within one template.

Exploratory: with few responses behind each they are noisy, which is why names come shrunk as well.

Not here: how much a gap hangs on one name (leave_out.py).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import stdtr, stdtrit

from servicegap.disparity.additive import Fit, TooLittleError, fit
from servicegap.disparity.cells import Cells, Floats
from servicegap.disparity.group_rates import check_level
from servicegap.disparity.selection import select
from servicegap.records import Estimate


def name_rates(cells: Cells, *, level: float = 0.95, outcome_name: str = "outcome") -> list[Estimate]:
    """Estimate each name's rate over new templates, as it is and shrunk towards its group.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates.
    level : float
        Confidence level, between 0 and 1.
    outcome_name : str
        What the outcome is called in the estimates.

    Returns
    -------
    list of Estimate
        For each name, kind ``name_rate`` (the mean over its templates, with a t interval over templates) and
        kind ``name_rate_shrunk``: drawn towards its group's mean by the share of the differences between
        names that chance makes; no interval.

    Raises
    ------
    DataError
        `level` outside 0 to 1.
    """
    check_level(level)
    found = []
    for group in cells.groups:
        raw = [_name_rate(cells, row, level, outcome_name) for row in cells.rows(group)]
        found += raw + _shrunk(cells, group, raw)
    return found


def template_gaps(
    cells: Cells, group: str, reference: str, *, level: float = 0.95, outcome_name: str = "outcome"
) -> list[Estimate]:
    """Estimate the gap between two groups within each template, for new names.

    Parameters
    ----------
    cells : Cells
        Responses summed up into names x templates.
    group, reference : str
        The groups compared.
    level : float
        Confidence level, between 0 and 1.
    outcome_name : str
        What the outcome is called in the estimates.

    Returns
    -------
    list of Estimate
        Kind ``template_gap``, one a template: Welch's t over names. Undefined with its reason where a group
        has fewer than two names there, or its names do not differ.

    Raises
    ------
    DataError
        `level` outside 0 to 1.

    References
    ----------
    Welch (1947), Biometrika 34, 28-35.
    """
    check_level(level)
    rows = [cells.rows(group), cells.rows(reference)]
    base = Estimate(
        kind="template_gap",
        outcome=outcome_name,
        value=None,
        level=level,
        group=group,
        reference=reference,
        method="Welch over names",
        n_templates=1,
    )
    both = np.concatenate(rows)
    return [
        _welch(
            replace(
                base,
                template=template,
                n_responses=int(cells.responses[both, column].sum()),
                n_missing=int(cells.missing[both, column].sum()),
                n_events=int(cells.events[both, column].sum()) if cells.scale == "yes/no" else None,
            ),
            *(_known(cells.mean[own, column]) for own in rows),
            bounded=cells.scale != "number",
        )
        for column, template in enumerate(cells.template)
    ]


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _name_rate(cells: Cells, row: int, level: float, outcome_name: str) -> Estimate:
    values = _known(cells.mean[row])
    base = Estimate(
        kind="name_rate",
        outcome=outcome_name,
        value=float(values.mean()) if len(values) else None,
        level=level,
        group=cells.group[row],
        signal=cells.signal[row],
        method="t over templates",
        n_responses=int(cells.responses[row].sum()),
        n_missing=int(cells.missing[row].sum()),
        n_events=int(cells.events[row].sum()) if cells.scale == "yes/no" else None,
        n_signals=1,
        n_templates=len(values),
    )
    if base.value is None:
        return replace(base, note="no response of this name has a label")
    variance = float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0
    if variance <= 0:
        return replace(base, note="no interval: the templates do not differ, or there is one only")
    se, df = variance**0.5, len(values) - 1
    half = float(stdtrit(df, (1 + level) / 2)) * se
    low, high = base.value - half, base.value + half
    if cells.scale != "number":
        low, high = max(low, 0.0), min(high, 1.0)
    return replace(base, low=low, high=high, se=se, df=float(df))


def _shrunk(cells: Cells, group: str, raw: list[Estimate]) -> list[Estimate]:
    """Draw the names of a group towards its mean: by noise over (names' own variance + noise)."""
    try:
        chosen = select(cells, [group], [np.arange(len(cells.template))])
        fitted = fit(chosen.tables()[0][0])
    except TooLittleError as reason:
        return [replace(_bare(e), value=None, note=str(reason)) for e in raw]
    effects = dict(zip((cells.signal[row] for row in chosen.rows[0]), _drawn_in(fitted), strict=True))
    return [
        replace(_bare(e), value=float(effects[e.signal]))
        if e.signal in effects
        else replace(_bare(e), value=None, note="no response of this name has a label")
        for e in raw
    ]


def _drawn_in(fitted: Fit) -> Floats:
    own = fitted.names - fitted.mean
    observed = float(own @ own) / (len(own) - 1)
    noise = fitted.cell_variance * fitted.name_cov.diagonal
    true = max(observed - float(noise.sum()) / (len(own) - 1), 0.0)
    total = true + noise
    kept = np.divide(true, total, out=np.ones(len(own)), where=total > 0)
    shrunk: Floats = fitted.mean + kept * own
    return shrunk


def _bare(raw: Estimate) -> Estimate:
    return replace(
        raw,
        kind="name_rate_shrunk",
        low=None,
        high=None,
        se=None,
        df=None,
        method="empirical Bayes",
        note=None,
    )


def _welch(base: Estimate, one: Floats, other: Floats, *, bounded: bool) -> Estimate:
    base = replace(base, n_signals=len(one) + len(other))
    if not len(one) or not len(other):
        return replace(base, note="a group has no label in this template")
    base = replace(base, value=float(one.mean() - other.mean()))
    if min(len(one), len(other)) < 2:
        return replace(base, note="a group has one name only in this template")
    shares = [float(v.var(ddof=1)) / len(v) for v in (one, other)]
    variance = sum(shares)
    if not all(shares):
        return replace(base, note="no interval and no p: the names of a group do not differ in this template")
    df = variance**2 / sum(s**2 / (len(v) - 1) for s, v in zip(shares, (one, other), strict=True))
    se, value = variance**0.5, float(one.mean() - other.mean())
    half = float(stdtrit(df, (1 + (base.level or 0)) / 2)) * se
    low, high = value - half, value + half
    if bounded:
        low, high = max(low, -1.0), min(high, 1.0)
    return replace(base, low=low, high=high, se=se, df=df, p=float(2 * stdtr(df, -abs(value) / se)))
