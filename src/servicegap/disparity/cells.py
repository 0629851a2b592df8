"""Long arrays, one entry a response, to the cells that the statistics work on: names x templates.

This module alone says what a cluster is: a name is the pair (group, signal), a template is a template,
and everything else (samples, repeats, conditions put together) is chance within their cell. Standard
errors, degrees of freedom, permutation and bootstrap all start from :class:`Cells`, so they cannot
disagree; and after :func:`aggregate` their cost no longer depends on the number of responses.

Not here: any statistic, and the choice of which responses belong into an analysis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from servicegap.disparity.columns import Column, labels, length_problems, numbers
from servicegap.errors import DataError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

#: ``yes/no``: every outcome is 0 or 1; ``proportion``: all lie in 0 to 1; ``number``: anything else.
Scale = Literal["yes/no", "proportion", "number"]

#: More cells than this come from columns that are not names and templates (400 MB a table).
MOST_CELLS = 50_000_000

_SHOWN = 5
_KEYS = ("group", "signal", "template")
_ATTRIBUTE = "attribute "


@dataclass(frozen=True, slots=True)
class Cells:
    """What the responses come to, name by template.

    Attributes
    ----------
    group, signal : tuple of str, length n_names
        The two halves of each name's identity, sorted.
    template : tuple of str, length n_templates
        Sorted.
    attributes : mapping of str to tuple of str or None, length n_names
        What is known of each name (gender, commonness, ...), for the strata of a permutation.
    part : tuple of str, length n_templates, or None
        The part of the study that each template belongs to.
    mean : (n_names, n_templates) float
        Weighted mean of the labelled responses in the cell; NaN = none there.
    responses, missing, events : (n_names, n_templates) int
        Labelled responses, unlabelled ones, and labelled ones whose outcome is 1.
    scale : str
        What kind of figure the outcome is.
    """

    group: tuple[str, ...]
    signal: tuple[str, ...]
    template: tuple[str, ...]
    attributes: Mapping[str, tuple[str | None, ...]]
    part: tuple[str, ...] | None
    mean: Floats
    responses: Counts
    missing: Counts
    events: Counts
    scale: Scale

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups, sorted."""
        return tuple(sorted(set(self.group)))

    def rows(self, group: str) -> NDArray[np.intp]:
        """Return the row numbers of a group's names."""
        return np.flatnonzero(np.array(self.group) == group)

    def columns(self, part: str) -> NDArray[np.intp]:
        """Return the column numbers of a part's templates."""
        return np.flatnonzero(np.array(self.part or ()) == part)

    def take(self, rows: NDArray[np.intp] | None = None, columns: NDArray[np.intp] | None = None) -> Cells:
        """Return the cells of some names and some templates alone (None = all)."""
        rows = np.arange(len(self.signal)) if rows is None else rows
        columns = np.arange(len(self.template)) if columns is None else columns
        inside = np.ix_(rows, columns)
        return replace(
            self,
            group=tuple(self.group[row] for row in rows),
            signal=tuple(self.signal[row] for row in rows),
            template=tuple(self.template[column] for column in columns),
            attributes={key: tuple(known[row] for row in rows) for key, known in self.attributes.items()},
            part=None if self.part is None else tuple(self.part[column] for column in columns),
            mean=self.mean[inside],
            responses=self.responses[inside],
            missing=self.missing[inside],
            events=self.events[inside],
        )


def aggregate(
    outcome: Column,
    group: Column,
    signal: Column,
    template: Column,
    *,
    weight: Column | None = None,
    strata: Column | Mapping[str, Column] | None = None,
    part: Column | None = None,
) -> Cells:
    """Sum responses up into names x templates.

    Parameters
    ----------
    outcome : one-dimensional, length n
        True/false, 0/1 or a finite number for each response; None or NaN = no label.
    group, signal, template : one-dimensional, length n
        Whom the response is about, by what signal, and in which template. No entry may be missing.
    weight : one-dimensional, length n, optional
        A finite number >= 0 for each response; a cell's mean is weighted by it.
    strata : one-dimensional, length n, or a mapping of such arrays, optional
        What is known of the response's name, the same in all responses of a name; None = not known. A
        mapping names the attributes: ``{"gender": ..., "commonness": ...}``.
    part : one-dimensional, length n, optional
        The part of the study that the response's template belongs to (the same in all its responses).

    Raises
    ------
    DataError
        All mistakes of the input together: lengths that differ, values that are no numbers or
        infinite, missing keys, a signal in two groups, a name with two values of an attribute, a template in
        two parts.
    """
    keys = {"group": group, "signal": signal, "template": template}
    problems: list[str] = []
    columns = {"outcome": numbers(outcome, "outcome", problems)}
    columns |= {key: labels(values, key, problems) for key, values in keys.items()}
    if part is not None:
        columns["part"] = labels(part, "part", problems)
    attributes = strata if isinstance(strata, Mapping) else {} if strata is None else {"stratum": strata}
    for name, values in attributes.items():
        key = _ATTRIBUTE + name
        columns[key] = labels(values, f"strata {name!r}", problems, required=False).alias(key)
    if weight is not None:
        columns["weight"] = numbers(weight, "weight", problems)
        _check_weights(columns["weight"], problems)
    # A column that could not be read is empty: its own mistake is told, not that it has no entries.
    if not problems or any(len(column) for column in columns.values()):
        problems += length_problems(columns)
    if problems:
        raise DataError(*problems)
    frame = _sums(pl.DataFrame(list(columns.values())))
    _check_nesting(frame)
    return _tables(frame)


def _sums(frame: pl.DataFrame) -> pl.DataFrame:
    """One row for each combination of keys: counts and weighted sums."""
    y = pl.col("outcome")
    weight = pl.col("weight") if "weight" in frame.columns else pl.lit(1.0)
    total = weight.filter(y.is_not_null()).sum() if "weight" in frame.columns else y.count().cast(pl.Float64)
    keys = [key for key in frame.columns if key not in ("outcome", "weight")]
    sums = frame.group_by(keys).agg(
        responses=y.count(),
        missing=y.null_count(),
        events=(y == 1).sum(),
        zeros=(y == 0).sum(),
        lowest=y.min(),
        highest=y.max(),
        total=total,
        weighted=(y * weight).sum(),
    )
    names = {key: pl.Series(key, _texts(sums[key]), dtype=pl.String) for key in keys}
    return sums.with_columns(**names)


def _texts(series: pl.Series) -> list[str | None]:
    return [None if value is None else str(value) for value in series.to_list()]


def _tables(frame: pl.DataFrame) -> Cells:
    """Spread the sums over names x templates."""
    names = sorted(set(zip(frame["group"], frame["signal"], strict=True)))
    templates = sorted(set(frame["template"]))
    if len(names) * len(templates) > MOST_CELLS:
        raise DataError(
            f"signal has {len(names)} names and template {len(templates)} templates: more than "
            f"{MOST_CELLS} cells; give the columns in which names and templates repeat"
        )
    row_of = {name: row for row, name in enumerate(names)}
    column_of = {name: column for column, name in enumerate(templates)}
    row = [row_of[name] for name in zip(frame["group"], frame["signal"], strict=True)]
    column = [column_of[name] for name in frame["template"]]
    shape = (len(names), len(templates))

    def spread(key: str) -> Any:
        values = frame[key].to_numpy()
        table = np.zeros(shape, dtype=np.float64 if values.dtype.kind == "f" else np.int64)
        table[row, column] = values
        return table

    total, weighted = spread("total"), spread("weighted")
    mean = np.divide(weighted, total, out=np.full(shape, np.nan), where=total > 0)
    known = {
        key.removeprefix(_ATTRIBUTE): dict(zip(row, frame[key], strict=True))
        for key in frame.columns
        if key.startswith(_ATTRIBUTE)
    }
    parts = dict(zip(column, frame["part"], strict=True)) if "part" in frame.columns else None
    return Cells(
        group=tuple(name[0] for name in names),
        signal=tuple(name[1] for name in names),
        template=tuple(templates),
        attributes={key: tuple(of[i] for i in range(len(names))) for key, of in known.items()},
        part=tuple(parts[i] for i in range(len(templates))) if parts is not None else None,
        mean=mean,
        responses=spread("responses"),
        missing=spread("missing"),
        events=spread("events"),
        scale=_scale(frame),
    )


def _scale(frame: pl.DataFrame) -> Scale:
    if ((frame["events"] + frame["zeros"]) == frame["responses"]).all():
        return "yes/no"
    low, high = frame["lowest"].drop_nulls(), frame["highest"].drop_nulls()
    return "proportion" if ((low >= 0).all() and (high <= 1).all()) else "number"


def _check_weights(weight: pl.Series, problems: list[str]) -> None:
    for entry in weight.is_null().arg_true().head(1):
        problems.append(f"weight[{entry}] is missing; give a number >= 0 for each response")
    for entry in (weight < 0).arg_true().head(1):
        problems.append(f"weight[{entry}] is {weight[entry]}; a weight is a number >= 0")


def _check_nesting(frame: pl.DataFrame) -> None:
    """Refuse a signal in two groups, a name with two values of an attribute, a template in two parts."""
    problems = _in_two(frame, ["signal"], "group", "signal", "one signal points to one group")
    for key in (key for key in frame.columns if key.startswith(_ATTRIBUTE)):
        problems += _in_two(
            frame, ["group", "signal"], key, "signal", "all responses of a name have the same"
        )
    if "part" in frame.columns:
        problems += _in_two(frame, ["template"], "part", "template", "a template belongs to one part")
    if problems:
        raise DataError(*problems)


def _in_two(frame: pl.DataFrame, keys: list[str], owner: str, shown: str, rule: str) -> list[str]:
    pairs = frame.select(*keys, owner).unique().group_by(keys).agg(pl.col(owner).sort())
    wrong = pairs.filter(pl.col(owner).list.len() > 1).sort(keys)
    plain = owner.removeprefix(_ATTRIBUTE)
    problems = [
        f"{shown} {row[shown]!r} is in {', '.join(map(repr, row[owner]))} of {plain}; {rule}"
        for row in wrong.head(_SHOWN).to_dicts()
    ]
    return problems + ([f"... and {len(wrong) - _SHOWN} more like it"] if len(wrong) > _SHOWN else [])
