"""All categories of the responses at once: counts by name and template, shares by group, one test over all.

Any yes/no outcome made from categories follows from the counts without looking at the responses again.

Not here: what the categories mean (codebook.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from servicegap.disparity.cells import Cells, Counts, aggregate
from servicegap.disparity.columns import Column, labels
from servicegap.disparity.group_rates import check_level, rates_of
from servicegap.disparity.omnibus import DRAWS, permute_profiles
from servicegap.errors import DataError
from servicegap.records import CATEGORIES, Estimate


@dataclass(frozen=True, slots=True)
class CategoryCells:
    """Responses counted by name, template and category.

    Attributes
    ----------
    cells : Cells
        The cells with an outcome that every labelled response has.
    categories : tuple of str
        The third axis of `counts`.
    counts : (n_names, n_templates, n_categories) int
        Labelled responses.
    """

    cells: Cells
    categories: tuple[str, ...]
    counts: Counts

    def outcome(self, categories: Collection[str]) -> Cells:
        """Return the cells of the outcome "the category is one of these"."""
        inside = np.array([category in categories for category in self.categories])
        events = self.counts[:, :, inside].sum(axis=2)
        responses = self.cells.responses
        mean = np.divide(events, responses, out=np.full(events.shape, np.nan), where=responses > 0)
        return replace(self.cells, events=events, mean=mean)


def count_categories(
    category: Column,
    group: Column,
    signal: Column,
    template: Column,
    *,
    categories: tuple[str, ...] = CATEGORIES,
    strata: Column | Mapping[str, Column] | None = None,
    part: Column | None = None,
) -> CategoryCells:
    """Count responses by name, template and category.

    Parameters
    ----------
    category : one-dimensional, length n
        The category of each response; None = no label.
    group, signal, template, strata, part
        As in :func:`servicegap.disparity.cells.aggregate`.
    categories : tuple of str
        The categories there can be.

    Raises
    ------
    DataError
        A category that is not among `categories`; what aggregate() refuses.
    """
    attributes = strata if isinstance(strata, Mapping) else {} if strata is None else {"stratum": strata}
    keys: dict[str, Column] = {"group": group, "signal": signal, "template": template}
    if part is not None:
        keys["part"] = part
    problems: list[str] = []
    columns = [labels(category, "category", problems, required=False).cast(pl.String)]
    columns += [labels(values, key, problems) for key, values in keys.items()]
    known = {key: f"attribute {key}" for key in attributes}
    columns += [labels(attributes[key], name, problems, required=False) for key, name in known.items()]
    unknown = sorted(set(columns[0].drop_nulls().unique()) - set(categories))
    problems += [f"category {value!r} is not one of {', '.join(categories)}" for value in unknown]
    if len({len(column) for column in columns}) > 1:
        told = ", ".join(f"{column.name} {len(column)}" for column in columns)
        problems.append(f"the arrays have different lengths ({told}); give one entry a response in each")
    if problems:
        raise DataError(*problems)
    sums = pl.DataFrame(columns).group_by([column.name for column in columns]).len()
    # What is left is small: one row for each name, template and category.
    cells = aggregate(
        sums["category"].is_not_null(),
        sums["group"],
        sums["signal"],
        sums["template"],
        strata={key: sums[name] for key, name in known.items()},
        part=sums["part"] if part is not None else None,
    )
    return _counted(cells, sums, categories)


def _counted(cells: Cells, sums: pl.DataFrame, categories: tuple[str, ...]) -> CategoryCells:
    """Spread the counts over names x templates x categories."""
    row_of = {name: i for i, name in enumerate(zip(cells.group, cells.signal, strict=True))}
    column_of = {name: i for i, name in enumerate(cells.template)}
    place_of = {name: i for i, name in enumerate((*categories, None))}
    counts = np.zeros((len(row_of), len(column_of), len(place_of)), dtype=np.int64)
    for g, s, t, c, n in sums.select("group", "signal", "template", "category", "len").iter_rows():
        counts[row_of[str(g), str(s)], column_of[str(t)], place_of[c]] += n
    labelled, missing = counts[:, :, :-1], counts[:, :, -1]
    responses = labelled.sum(axis=2)
    every = replace(
        cells,
        mean=np.where(responses > 0, 1.0, np.nan),
        responses=responses,
        missing=missing,
        events=responses,
        scale="yes/no",
    )
    return CategoryCells(every, categories, labelled)


def shares_of(found: CategoryCells, *, level: float = 0.95) -> dict[str, dict[str, Estimate]]:
    """Estimate the share of every category in every group, with intervals that hold all together.

    Parameters
    ----------
    found : CategoryCells
        Responses counted by name, template and category.
    level : float
        Confidence that all intervals hold at once, between 0 and 1.

    Returns
    -------
    dict of group to dict of category to Estimate
        Kind ``share``, outcome = the category: crossed intervals, each at 1 - alpha over the number of shares
        (Bonferroni).

    Raises
    ------
    DataError
        `level` outside 0 to 1.
    """
    check_level(level)
    groups = found.cells.groups
    each = 1 - (1 - level) / (len(groups) * len(found.categories))
    shares: dict[str, dict[str, Estimate]] = {group: {} for group in groups}
    for category in found.categories:
        for group, rate in rates_of(found.outcome({category}), level=each, outcome_name=category).items():
            method = f"{rate.method}, all shares together (Bonferroni)"
            shares[group][category] = replace(rate, kind="share", level=level, method=method)
    return shares


def omnibus_test(found: CategoryCells, rng: np.random.Generator) -> Estimate:
    """Test whether the shares of the categories depend on group at all.

    Parameters
    ----------
    found : CategoryCells
        Responses counted by name, template and category; two groups or more.
    rng : numpy Generator
        Draws the arrangements of names.

    Returns
    -------
    Estimate
        Kind ``omnibus``: `p` by exchanging names between groups, within the attributes known for all names;
        for these templates only. `value` is None: a test of everything has no size.

    Raises
    ------
    DataError
        One group only.
    """
    cells = found.cells
    base = Estimate(
        kind="omnibus",
        outcome="category",
        value=None,
        method="permutation of names over the shares of all categories",
        n_responses=int(cells.responses.sum()),
        n_missing=int(cells.missing.sum()),
        n_signals=len(cells.signal),
        n_templates=len(cells.template),
    )
    asked = cells.responses > 0
    labelled = asked.any(axis=1)
    shares = np.divide(
        found.counts, cells.responses[:, :, None], out=np.zeros(found.counts.shape), where=asked[:, :, None]
    )
    # A name's share on equal templates: where cells are empty, less the template's own mean over names.
    usual = shares.sum(axis=0) / np.maximum(asked.sum(axis=0), 1)[:, None]
    profiles = np.where(asked[:, :, None], shares - usual[None], 0.0).sum(axis=1)
    profiles = profiles[labelled] / asked.sum(axis=1)[labelled][:, None]
    kept = np.flatnonzero(labelled)
    group = [cells.group[row] for row in kept]
    if len(set(group)) < 2:
        return replace(base, note="fewer than two groups have labels")
    attributes = {key: [values[row] for row in kept] for key, values in cells.attributes.items()}
    p = permute_profiles(profiles, group, attributes, rng)
    return replace(base, p=p, note=f"for these templates only; {DRAWS:,} arrangements of names drawn")
