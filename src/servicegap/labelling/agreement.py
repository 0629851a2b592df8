"""How far the people of a study agree, from their live labels.

Not here: the formulas and the intervals (servicegap.agreement).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import get_args

import numpy as np
import polars as pl

from servicegap.agreement import Agreement, agreement
from servicegap.agreement.confusions import Confusion, confusions
from servicegap.agreement.ratings import Ratings, between_rounds, collect_ratings
from servicegap.labelling.composition import QUALITY
from servicegap.labelling.ratings import read_ratings
from servicegap.records import CATEGORIES, Harm, Pass
from servicegap.store import Store
from servicegap.study import Study

_LABELS: Mapping[Pass, tuple[str, ...]] = MappingProxyType(
    {"whole": CATEGORIES, "quality": QUALITY, "harm": get_args(Harm)}
)


@dataclass(frozen=True, slots=True)
class PeopleAgreement:
    """Agreement among the people of a study in one pass.

    Attributes
    ----------
    pass_ : str
        ``whole`` = the six categories, composed where labels were given in two passes; else that pass alone.
    labels, annotators, responses : int
        How many labels there are, by how many people, of how many responses.
    figures : tuple of Agreement
        Overall, and for each group, round and background; each over all categories and for each of them.
    steady : tuple of Agreement
        The same people in different rounds: how steadily each labels, overall. Empty with one round.
    confused : tuple of Confusion
        The pairs of categories that are confused, the worst first.
    note : str or None
        Why there is nothing to compare.
    """

    pass_: Pass
    labels: int
    annotators: int
    responses: int
    figures: tuple[Agreement, ...]
    steady: tuple[Agreement, ...]
    confused: tuple[Confusion, ...]
    note: str | None = None


def measure_agreement(
    study: Study, store: Store, rng: np.random.Generator, *, replicates: int = 1_000
) -> tuple[PeopleAgreement, ...]:
    """Return how far people agree, with intervals at the plan's level over other templates.

    Parameters
    ----------
    study : Study
    store : Store
    rng : numpy.random.Generator
        Draws the resamples.
    replicates : int
        Resamples, 100 or more.

    Returns
    -------
    tuple of PeopleAgreement
        One for the categories; where people label in two passes, one for each pass as well.
    """
    table = read_ratings(study, store)
    found = []
    for pass_, categories in _LABELS.items():
        given = table.filter(pl.col("pass") == pass_)
        if pass_ == "whole" or len(given):
            found.append(_of_pass(study, pass_, given, categories, rng, replicates))
    return tuple(found)


def _of_pass(
    study: Study,
    pass_: Pass,
    given: pl.DataFrame,
    categories: tuple[str, ...],
    rng: np.random.Generator,
    replicates: int,
) -> PeopleAgreement:
    names = given["annotator"].unique().sort().to_list()
    blank = PeopleAgreement(pass_, len(given), len(names), given["response"].n_unique(), (), (), ())
    if len(names) < 2:
        return replace(blank, note=_too_few(names))
    columns = ("template", "group", "round", "background")
    ratings = collect_ratings(
        given["response"],
        given["annotator"],
        given["category"],
        categories=categories,
        **{name: given[name] for name in columns},
    )
    level = study.plan.plan.level
    return replace(
        blank,
        figures=agreement(ratings, rng, level=level, replicates=replicates),
        steady=_steady(ratings, rng, level, replicates),
        confused=confusions(ratings),
    )


def _steady(
    ratings: Ratings, rng: np.random.Generator, level: float, replicates: int
) -> tuple[Agreement, ...]:
    if len(ratings.rounds) < 2:
        return ()
    found = agreement(between_rounds(ratings), rng, level=level, replicates=replicates)
    return tuple(each for each in found if each.group is None)


def _too_few(names: list[str]) -> str:
    if not names:
        return "nobody has labelled a response yet; agreement needs the labels of two people"
    return f"only {names[0]} has labelled so far; agreement needs the labels of two people"
