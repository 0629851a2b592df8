"""How far the people who labelled a study agree: their labels -> measures for results.json.

Not here: the measures (agreement/), how people's labels are kept (labelling/).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, get_args

import numpy as np
import polars as pl
import sqlalchemy as sa

from servicegap.agreement import agreement
from servicegap.agreement.ratings import collect_ratings
from servicegap.beside import SEED
from servicegap.labelling.composition import QUALITY
from servicegap.labelling.ratings import read_ratings
from servicegap.records import CATEGORIES, Harm
from servicegap.store import Store
from servicegap.study import AnalysisPlan, Study
from servicegap.tables import ANNOTATIONS

#: What can be chosen in each pass.
_CHOICES: Mapping[str, Sequence[str]] = {"whole": CATEGORIES, "quality": QUALITY, "harm": get_args(Harm)}


def agreement_of_people(study: Study, store: Store, plan: AnalysisPlan) -> list[dict[str, Any]]:
    """Return the measures of agreement of a study's annotators, overall ones first; empty without two.

    Each is an object with the fields of :class:`servicegap.agreement.Agreement`, and the ``pass`` in which
    the labels were given.
    """
    with store.reading() as connection:
        # Looked at first, as reading the labels reads what every response is about.
        people = sa.select(ANNOTATIONS.c.annotator).where(ANNOTATIONS.c.kind == "human").distinct()
        if len(connection.execute(people).all()) < 2:
            return []
    labels = read_ratings(study, store)
    return [
        {"pass": pass_, **asdict(each)}
        for pass_, choices in _CHOICES.items()
        if (own := labels.filter(pl.col("pass") == pass_)).select("response", "round").is_duplicated().any()
        for each in agreement(
            collect_ratings(
                own["response"],
                own["annotator"],
                own["category"],
                template=own["template"],
                group=own["group"],
                round=own["round"],
                background=own["background"],
                categories=choices,
            ),
            np.random.default_rng(SEED),
            level=plan.level,
        )
    ]
