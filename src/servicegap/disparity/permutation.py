"""Permutation of names between two groups: an answer for these templates, exact however rare the outcome.

If the group made no difference, the names of two groups could be exchanged; the p value is the share of
arrangements of names whose gap is at least as large as the one seen. Names are exchanged only within strata
(gender, commonness), so that a gap does not come from one group having more well-known names.

The answer speaks of the templates that were asked, no others: see crossed.py for new templates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, prod

import numpy as np
from numpy.typing import NDArray

from servicegap.disparity.cells import Floats

#: Up to this many arrangements are listed one by one.
MOST_LISTED = 200_000
#: Otherwise this many are drawn.
DRAWS = 9_999

#: Gaps that differ by less are the same gap (sums of means in another order).
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Permutation:
    """The result of exchanging names between two groups.

    Attributes
    ----------
    p : float
        Two-sided: share of arrangements with a gap at least as large; (b + 1) / (B + 1) where drawn.
    arrangements : int
        How many arrangements there are.
    extreme : int
        How many of those looked at have a gap at least as large, the one seen included where listed.
    exact : bool
        Whether all arrangements were listed.
    smallest_p : float
        The smallest p that this design can give, whatever the answers.
    strata : tuple of str
        The attributes within which names were exchanged; empty = among all names of the two groups.
    """

    p: float
    arrangements: int
    extreme: int
    exact: bool
    smallest_p: float
    strata: tuple[str, ...]

    def sentence(self) -> str:
        """Say the result in words, for the note of an estimate."""
        within = f" within {' x '.join(self.strata)}" if self.strata else ""
        how = (
            f"{self.extreme:,} of {self.arrangements:,} arrangements"
            if self.exact
            else f"drawn at random from {self.arrangements:.3g} arrangements"
        )
        return (
            f"permutation of names{within}, for these templates only: p = {self.p:.2g} ({how}; "
            f"the smallest p this design can give is {self.smallest_p:.2g})"
        )


def usable_strata(
    attributes: Mapping[str, Sequence[str | None]], in_group: NDArray[np.bool_]
) -> tuple[str, ...]:
    """Name the attributes that can serve as strata: known for all names, and splitting both groups.

    Parameters
    ----------
    attributes : mapping of str to (n_names,) str or None
        What is known of each name.
    in_group : (n_names,) bool
        Whether the name belongs to the group (else to the reference).
    """
    return tuple(
        name
        for name, values in attributes.items()
        if None not in values
        and all(
            len({v for v, g in zip(values, in_group, strict=True) if g == side}) > 1 for side in (True, False)
        )
        and {v for v, g in zip(values, in_group, strict=True) if g}
        & {v for v, g in zip(values, in_group, strict=True) if not g}
    )


def permute_names(
    values: Floats,
    in_group: NDArray[np.bool_],
    attributes: Mapping[str, Sequence[str | None]],
    rng: np.random.Generator,
) -> Permutation:
    """Test the difference between the mean over a group's names and that over the reference's.

    Parameters
    ----------
    values : (n_names,) float
        Each name's rate or mean on equal templates.
    in_group : (n_names,) bool
        Whether the name belongs to the group (else to the reference); at least one of each.
    attributes : mapping of str to (n_names,) str or None
        What is known of each name; those of :func:`usable_strata` become strata.
    rng : numpy Generator
        Used only where there are more than MOST_LISTED arrangements.

    Returns
    -------
    Permutation
        A stratum in which only one of the groups has names keeps its names.

    Notes
    -----
    The gap grows with the sum over the group's names, so only that sum is followed. Where arrangements are
    drawn, p = (b + 1) / (B + 1), which never falls below the exact level (Phipson and Smyth 2010, SAGMB 9(1),
    39).
    """
    strata = usable_strata(attributes, in_group)
    keys = list(zip(*(attributes[name] for name in strata), strict=True)) if strata else [()] * len(values)
    members = [np.flatnonzero([key == stratum for key in keys]) for stratum in sorted(set(keys), key=repr)]
    # In order of their values: the draws then do not depend on how names are called.
    members = [rows[np.lexsort((in_group[rows], values[rows]))] for rows in members]
    taken = [int(in_group[rows].sum()) for rows in members]
    counts = [comb(len(rows), k) for rows, k in zip(members, taken, strict=True)]
    arrangements = prod(counts)
    mirrored = all(2 * k == len(rows) for rows, k in zip(members, taken, strict=True))
    exact = arrangements <= MOST_LISTED
    sums = (
        _listed(values, members, taken)
        if exact
        else np.sum([_drawn(values[r], k, rng) for r, k in zip(members, taken, strict=True)], axis=0)
    )
    n_group, n_reference = int(in_group.sum()), int((~in_group).sum())
    gaps = sums / n_group - (values.sum() - sums) / n_reference
    seen = values[in_group].mean() - values[~in_group].mean()
    extreme = int((np.abs(gaps) >= abs(seen) - _SAME).sum())
    return Permutation(
        p=extreme / arrangements if exact else (extreme + 1) / (DRAWS + 1),
        arrangements=arrangements,
        extreme=extreme,
        exact=exact,
        smallest_p=max(
            (1 + mirrored) / arrangements if arrangements > 1 else 1.0, 0 if exact else 1 / (DRAWS + 1)
        ),
        strata=strata,
    )


def _listed(values: Floats, members: list[NDArray[np.intp]], taken: list[int]) -> Floats:
    """Return the sum over the group's names in every arrangement."""
    sums = np.zeros(1)
    for rows, k in zip(members, taken, strict=True):
        # A stratum may have no name of the group: one arrangement, and nothing in it.
        chosen = np.array(list(combinations(range(len(rows)), k)), dtype=np.intp).reshape(
            comb(len(rows), k), k
        )
        sums = (sums[:, None] + values[rows][chosen].sum(axis=1)[None, :]).ravel()
    return sums


def _drawn(values: Floats, k: int, rng: np.random.Generator) -> Floats:
    """Return the sum over k names drawn without replacement, DRAWS times."""
    shuffled = rng.permuted(np.broadcast_to(values, (DRAWS, len(values))), axis=1)
    total: Floats = shuffled[:, :k].sum(axis=1)
    return total
