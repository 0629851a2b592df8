"""What users hand in, one entry a response, as polars Series: lists, arrays, polars or pandas Series.

Not here: what the columns mean together (cells.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import Any

import numpy as np
import polars as pl

#: A list, numpy array, polars or pandas Series with one entry for each response.
Column = Iterable[Any]


def labels(values: Column, name: str, problems: list[str], *, required: bool = True) -> pl.Series:
    """Return a column of labels, null where there is none.

    Parameters
    ----------
    values : list, array or Series
        One entry a response.
    name : str
        What the column is called in messages.
    problems : list of str
        Mistakes are added to it, so that all of an input are told together.
    required : bool
        Whether a missing entry is a mistake.
    """
    series = _series(values, name, problems)
    if series is None:
        return pl.Series(name, [], dtype=pl.String)
    if series.dtype.is_float():
        series = series.fill_nan(None)
    absent = series.is_null()
    count = int(absent.sum())
    if count and required:
        first = absent.arg_true()[0]
        problems.append(
            f"{name}[{first}] is missing ({count} of {len(series)} are); "
            f"every response needs its {name}: leave such responses out or name it"
        )
    return series


def numbers(values: Column, name: str, problems: list[str]) -> pl.Series:
    """Return a column of floats, null where there is none; text and infinite values are mistakes.

    Parameters
    ----------
    values : list, array or Series
        True/false, 0/1 or numbers, one entry a response; None or NaN = missing.
    name : str
        What the column is called in messages.
    problems : list of str
        Mistakes are added to it, so that all of an input are told together.
    """
    series = _series(values, name, problems)
    if series is None or series.dtype == pl.Null:
        return pl.Series(name, [None] * (0 if series is None else len(series)), dtype=pl.Float64)
    if not (series.dtype.is_numeric() or series.dtype == pl.Boolean):
        first = series.drop_nulls().to_list()[:1]
        problems.append(
            f"{name} holds {', '.join(map(repr, first)) or 'no numbers'}; "
            "give true/false, 0/1 or numbers, and None or NaN where there is none"
        )
        return pl.Series(name, [None] * len(series), dtype=pl.Float64)
    floats = series.cast(pl.Float64).fill_nan(None)
    for entry in floats.is_infinite().arg_true().head(1):
        problems.append(
            f"{name}[{entry}] is {floats[entry]}; give finite numbers, and None or NaN for missing"
        )
    return floats


def length_problems(columns: Mapping[str, Sized]) -> list[str]:
    """Tell of columns that are empty or of different lengths."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        return [f"the arrays have different lengths ({told}); give one entry a response in each"]
    if not any(lengths.values()):
        return ["there are no responses: the arrays are empty; give one entry a response"]
    return []


def _series(values: Column, name: str, problems: list[str]) -> pl.Series | None:
    """Turn what the user gave into a polars Series, or tell what is wrong with it."""
    if isinstance(values, pl.Series):
        return values.alias(name)
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        problems.append(f"{name} is {values!r}; give one entry a response: a list, an array or a Series")
        return None
    dense = np.asarray(values.to_numpy()) if hasattr(values, "to_numpy") else values
    if isinstance(dense, np.ndarray):
        if dense.ndim != 1:
            problems.append(f"{name} has {dense.ndim} dimensions {dense.shape}; give a one-dimensional array")
            return None
        if dense.dtype.kind in "biuf":
            return pl.Series(name, dense)
        dense = dense.tolist()
    return _from_objects(list(dense), name)


def _from_objects(values: Sequence[Any], name: str) -> pl.Series:
    try:
        return pl.Series(name, values)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        # Mixed types, or another library's "not available" marks.
        plain = [None if _is_absent(value) else value for value in values]
    if all(value is None or isinstance(value, bool | int | float | np.number | np.bool_) for value in plain):
        return pl.Series(name, [None if value is None else float(value) for value in plain], dtype=pl.Float64)
    return pl.Series(name, [None if value is None else str(value) for value in plain], dtype=pl.String)


def _is_absent(value: object) -> bool:
    return value is None or type(value).__name__ in {"NAType", "NaTType"} or value != value
