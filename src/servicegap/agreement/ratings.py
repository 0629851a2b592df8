"""Who gave which item which label: long arrays, one entry a label, checked and turned into numbers.

Not here: any coefficient (agreement_coefficients.py), and the choice of which annotations are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from servicegap.disparity.columns import Column, labels
from servicegap.errors import DataError

#: Position of each label's item, annotator, ... in the tuple of their names; -1 = not known.
Codes = NDArray[np.int64]

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Ratings:
    """Labels, one a row; two are compared where item and round are the same and the annotators differ.

    Attributes
    ----------
    items, annotators, categories : tuple of str
        The names; items and annotators sorted, categories as given (or sorted).
    templates, groups, rounds, backgrounds : tuple of str
        The names, sorted; empty where none were given.
    item, annotator, label : (n_labels,) int
        Positions in `items`, `annotators` and `categories`.
    template, group, round, background : (n_labels,) int
        Positions in the tuples of their names; -1 = not known.
    n_missing : int
        Entries without a label (abstentions, skips), which were left out.
    """

    items: tuple[str, ...]
    annotators: tuple[str, ...]
    categories: tuple[str, ...]
    templates: tuple[str, ...]
    groups: tuple[str, ...]
    rounds: tuple[str, ...]
    backgrounds: tuple[str, ...]
    item: Codes
    annotator: Codes
    label: Codes
    template: Codes
    group: Codes
    round: Codes
    background: Codes
    n_missing: int

    def take(self, rows: NDArray[np.bool_]) -> Ratings:
        """Return some of the labels alone; the names stay as they are."""
        columns = ("item", "annotator", "label", "template", "group", "round", "background")
        return replace(self, **{column: getattr(self, column)[rows] for column in columns})


def collect_ratings(
    item: Column,
    annotator: Column,
    label: Column,
    *,
    template: Column | None = None,
    group: Column | None = None,
    round: Column | None = None,  # noqa: A002 - the project's word for it
    background: Column | None = None,
    categories: Sequence[str] | None = None,
) -> Ratings:
    """Check long arrays of labels and number what is in them.

    Parameters
    ----------
    item, annotator : one-dimensional, length n
        What was labelled and by whom. Text or anything that can be told apart by its text.
    label : one-dimensional, length n
        The category; None or NaN = no label (left out, and counted).
    template : one-dimensional, length n, optional
        The cluster that the item belongs to, one for each item.
    group : one-dimensional, length n, optional
        The group that the item is about, one for each item; None = none (the control).
    round : one-dimensional, length n, optional
        The round of annotation. Labels of different rounds are not compared.
    background : one-dimensional, length n, optional
        What the annotator told of their background, one for each annotator; None = not told.
    categories : sequence of str, optional
        All categories that could be chosen, in their order; else those that were, sorted. AC1 depends on
        how many there are.

    Raises
    ------
    DataError
        All mistakes of the input together: lengths that differ, missing items or annotators, labels that
        are no category, two labels of one annotator for one item (in one round), an item in two templates
        or groups, an annotator with two backgrounds.

    Examples
    --------
    >>> ratings = collect_ratings(["r1", "r1", "r2"], ["ann", "ben", "ann"], ["answer", "refusal", None])
    >>> ratings.items, ratings.label.tolist(), ratings.n_missing
    (('r1',), [0, 1], 1)
    """
    problems: list[str] = []
    frame = _frame(
        {"item": item, "annotator": annotator, "label": label, "template": template, "round": round}
        | {"group": group, "background": background},
        problems,
    )
    if problems:
        raise DataError(*problems)
    given = frame.filter(pl.col("label").is_not_null())
    problems += _two_labels(given, by_round=round is not None)
    problems += _in_two(given, "item", "template", "an item belongs to one template")
    problems += _in_two(given, "item", "group", "an item is about one group")
    problems += _in_two(given, "annotator", "background", "an annotator has one background")
    if categories is not None:
        problems += _unknown(given, categories)
    if problems:
        raise DataError(*problems)
    names = {key: tuple(given[key].drop_nulls().unique().sort()) for key in given.columns}
    names["label"] = tuple(map(str, categories)) if categories is not None else names["label"]
    codes = {key: _codes(given[key], names[key]) for key in given.columns}
    return Ratings(
        items=names["item"],
        annotators=names["annotator"],
        categories=names["label"],
        templates=names["template"],
        groups=names["group"],
        rounds=names["round"],
        backgrounds=names["background"],
        **codes,
        n_missing=len(frame) - len(given),
    )


def between_rounds(ratings: Ratings) -> Ratings:
    """Return the same labels so that each annotator is compared with themself in another round.

    Its "annotators" are the rounds, its "items" the items as one annotator labelled them; agreement of the
    result says how steadily people label, which no agreement between people can much exceed. Backgrounds
    and rounds are dropped. An item's name is ``item / annotator``.

    Raises
    ------
    DataError
        If no rounds are known.
    """
    if not ratings.rounds or (ratings.round < 0).any():
        raise DataError("labels have no round; give `round` for each label to compare rounds")
    own = ratings.item * len(ratings.annotators) + ratings.annotator
    kept, item = np.unique(own, return_inverse=True)
    nothing = np.full(len(item), -1)
    owners = [divmod(int(number), len(ratings.annotators)) for number in kept]
    return replace(
        ratings,
        items=tuple(f"{ratings.items[i]} / {ratings.annotators[a]}" for i, a in owners),
        annotators=ratings.rounds,
        rounds=(),
        backgrounds=(),
        item=item.astype(np.int64),
        annotator=ratings.round,
        round=nothing,
        background=nothing,
    )


def _frame(columns: Mapping[str, Column | None], problems: list[str]) -> pl.DataFrame:
    """All columns as text; those not given are all null."""
    required = {"item", "annotator", "template", "round"}
    series = {
        key: labels(values, key, problems, required=key in required)
        for key, values in columns.items()
        if values is not None
    }
    lengths = {key: len(column) for key, column in series.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{key} {length}" for key, length in lengths.items())
        problems.append(f"the arrays have different lengths ({told}); give one entry a label in each")
    if problems:
        return pl.DataFrame()
    absent = pl.Series([None] * lengths["item"], dtype=pl.String)
    return pl.DataFrame({key: _text(series[key]) if key in series else absent for key in columns})


def _text(series: pl.Series) -> pl.Series:
    if series.dtype in (pl.String, pl.Categorical, pl.Enum) or series.dtype.is_integer():
        return series.cast(pl.String)
    texts = [None if value is None else str(value) for value in series.to_list()]
    return pl.Series(series.name, texts, dtype=pl.String)


def _codes(column: pl.Series, names: tuple[str, ...]) -> Codes:
    codes: Codes = column.cast(pl.Enum(names)).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
    return codes


def _two_labels(given: pl.DataFrame, *, by_round: bool) -> list[str]:
    keys = ["item", "annotator", "round"]
    twice = given.group_by(keys).agg(pl.col("label").sort()).filter(pl.col("label").list.len() > 1)
    rows = twice.sort(keys).head(_SHOWN).to_dicts()
    problems = [
        f"annotator {row['annotator']!r} gave item {row['item']!r} {len(row['label'])} labels"
        + (f" in round {row['round']!r}" if by_round else "")
        + f" ({', '.join(map(repr, row['label'][:_SHOWN]))}); give the one that counts"
        for row in rows
    ]
    return problems + _rest(len(twice))


def _in_two(given: pl.DataFrame, key: str, owner: str, rule: str) -> list[str]:
    owners = given.select(key, owner).unique().group_by(key).agg(pl.col(owner).sort())
    wrong = owners.filter(pl.col(owner).list.len() > 1).sort(key)
    problems = [
        f"{key} {row[key]!r} has {' and '.join(map(repr, row[owner]))} for its {owner}; {rule}"
        for row in wrong.head(_SHOWN).to_dicts()
    ]
    return problems + _rest(len(wrong))


def _unknown(given: pl.DataFrame, categories: Sequence[str]) -> list[str]:
    allowed = list(map(str, categories))
    twice = sorted({category for category in allowed if allowed.count(category) > 1})
    if twice:
        return [f"categories name {', '.join(map(repr, twice))} more than once; name each once"]
    wrong = given.filter(~pl.col("label").is_in(allowed))["label"].unique().sort()
    told = [
        f"label {label!r} is no category; allowed are {', '.join(allowed)}" for label in wrong.head(_SHOWN)
    ]
    return told + _rest(len(wrong))


def _rest(count: int) -> list[str]:
    return [f"... and {count - _SHOWN} more like it"] if count > _SHOWN else []
