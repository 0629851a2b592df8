"""Families of comparisons: which p values are adjusted together, and how.

Families are made within one model and condition. What is planned is adjusted by Holm; what is explored by
Benjamini and Hochberg, as one family; figures that say the planned gaps in another way are a family for each
way. One test a run (omnibus, missing labels, largest difference) is no family, and has no adjusted p.

Not here: the formulas (disparity/multiplicity.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from servicegap.disparity.multiplicity import benjamini_hochberg, holm
from servicegap.records import Estimate

#: What is explored beyond the plan, one family of comparisons.
EXPLORED = frozenset({"gap", "mean_gap", "contrast", "level_gap", "interaction", "template_gap"})
#: Other ways to say or to test each group's gap, a family each.
RESTATED = frozenset(
    {
        *("four_fifths", "ratio", "odds_ratio", "permutation", "mixed_gap"),
        *("automatic_gap", "corpus_gap", "gap_unweighted"),
    }
)
#: Families of what the plan names.
PLANNED = frozenset({"gap", "mean_gap", "contrast", "equivalence"})


def adjusted(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Return the estimates of one run with adjusted p values."""
    families: dict[tuple[str, ...], list[int]] = {}
    for place, estimate in enumerate(estimates):
        if family := _family(estimate):
            families.setdefault(family, []).append(place)
    out = list(estimates)
    for family, places in families.items():
        adjust = holm if family[0] == "planned" else benjamini_hochberg
        for place, p in zip(places, adjust([out[i].p for i in places]), strict=True):
            out[place] = replace(out[place], p_adjusted=p)
    return out


def _family(estimate: Estimate) -> tuple[str, ...] | None:
    if estimate.planned and estimate.kind in PLANNED:
        return "planned", estimate.kind
    if estimate.kind in EXPLORED:
        return ("explored",)
    return (estimate.kind, estimate.outcome) if estimate.kind in RESTATED else None
