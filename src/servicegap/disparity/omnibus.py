"""One test over many groups and many figures at once, by exchanging names between groups.

For questions such as: do the shares of the six categories depend on group at all? are labels missing more
often in some group's templates? The answer speaks of the templates that were asked.

Not here: which two groups differ (comparison.py), intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from servicegap.disparity.cells import Floats
from servicegap.errors import DataError

#: Arrangements of names that are drawn.
DRAWS = 4_999

_AT_ONCE = 500
#: Statistics closer than this are the same (sums in another order).
_SAME = 1e-9


def permute_profiles(
    profiles: Floats,
    group: Sequence[str],
    attributes: Mapping[str, Sequence[str | None]],
    rng: np.random.Generator,
) -> float:
    """Test whether names of different groups have different profiles.

    Parameters
    ----------
    profiles : (n_names, n_figures) float
        Each name's figures (shares of categories, share missing in each template, ...), none NaN.
    group : (n_names,) str
        The group of each name; two groups or more.
    attributes : mapping of str to (n_names,) str or None
        What is known of each name; those known for all names become strata, within which names are exchanged.
    rng : numpy Generator
        Draws the arrangements.

    Returns
    -------
    float
        p = (b + 1) / (B + 1), with b of B = 4,999 arrangements whose statistic, the sum over groups and
        figures of K_g (group mean - overall mean)^2, is at least the one seen.

    Raises
    ------
    DataError
        One group only.
    """
    names = sorted(set(group))
    if len(names) < 2:
        raise DataError(f"there is one group only ({names[0]!r}); a test between groups needs two")
    own = np.array([names.index(name) for name in group])
    strata = strata_rows(attributes, len(own))
    sizes = np.bincount(own)
    centred = profiles - profiles.mean(axis=0)

    def statistic(labels: NDArray[np.intp]) -> Floats:
        """Between-group sum of squares for each row of group numbers."""
        members = (labels[:, None, :] == np.arange(len(sizes))[None, :, None]).astype(float)
        sums = members @ centred
        total: Floats = (sums**2 / sizes[None, :, None]).sum(axis=(1, 2))
        return total

    seen = float(statistic(own[None, :])[0])
    bar = seen - _SAME * max(1.0, seen)
    as_large = 0
    for start in range(0, DRAWS, _AT_ONCE):
        labels = np.tile(own, (min(_AT_ONCE, DRAWS - start), 1))
        for rows in strata:
            labels[:, rows] = rng.permuted(labels[:, rows], axis=1)
        as_large += int((statistic(labels) >= bar).sum())
    return (as_large + 1) / (DRAWS + 1)


def strata_rows(attributes: Mapping[str, Sequence[str | None]], n_names: int) -> list[NDArray[np.intp]]:
    """Return the row numbers of the names in each combination of the attributes that are known for all."""
    known = [values for values in attributes.values() if None not in values]
    keys = list(zip(*known, strict=True)) if known else [()] * n_names
    return [np.flatnonzero([key == stratum for key in keys]) for stratum in sorted(set(keys), key=repr)]
