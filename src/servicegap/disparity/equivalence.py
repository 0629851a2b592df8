"""Whether a gap is small enough: equivalence and non-inferiority against a margin, from an estimate.

"No gap was found" is not "there is no gap": these tests turn the burden of proof around.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from scipy.special import stdtr

from servicegap.errors import DataError
from servicegap.records import Estimate


def equivalence(gap: Estimate, margin: float, *, sides: Literal["both", "above"] = "both") -> Estimate:
    """Test "the gap is at least as large as the margin" against "it is smaller".

    Parameters
    ----------
    gap : Estimate
        A gap, contrast or other difference with its standard error and degrees of freedom.
    margin : float
        Above 0, in the gap's units (0.05 = 5 points): the smallest gap that matters, chosen before looking.
    sides : {"both", "above"}
        ``both``: smaller than the margin in either direction (two one-sided tests). ``above``: the group has
        not more of the outcome than the reference by the margin or more (non-inferiority).

    Returns
    -------
    Estimate
        Kind ``equivalence`` or ``noninferiority``: a small p says that the gap is smaller than the margin;
        the interval is the gap's own. p None where the gap has no standard error.

    Raises
    ------
    DataError
        `margin` is not above 0.

    References
    ----------
    Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.
    """
    if not margin > 0:
        raise DataError(f"margin is {margin}; give the smallest gap that matters, above 0 (0.05 = 5 points)")
    kind = "equivalence" if sides == "both" else "noninferiority"
    if gap.value is None or gap.se is None or gap.df is None:
        reason = "; ".join(filter(None, [gap.note, "the gap has no standard error to test against a margin"]))
        return replace(gap, kind=kind, p=None, p_adjusted=None, note=reason)
    below = float(stdtr(gap.df, (gap.value - margin) / gap.se))
    above = float(stdtr(gap.df, -(gap.value + margin) / gap.se))
    p = max(below, above) if sides == "both" else below
    limit = f"smaller than {margin:g} in either direction" if sides == "both" else f"below {margin:g}"
    return replace(
        gap,
        kind=kind,
        p=p,
        p_adjusted=None,
        method=f"{gap.method}, one-sided t against a margin",
        note="; ".join(filter(None, [gap.note, f"a small p says that the gap is {limit}"])),
    )
