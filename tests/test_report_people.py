"""The report's part on how far the people who labelled agree."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from conftest import Answer, SmallStudy
from made_up_results import made_up_results

from servicegap.agreement import agreement
from servicegap.agreement.ratings import collect_ratings
from servicegap.people_agreement import agreement_of_people
from servicegap.records import CATEGORIES, Annotation
from servicegap.report import render
from servicegap.report.people import agreement_figure
from servicegap.report.people import agreement_of_people as passage_of
from servicegap.report.reading import read_results
from servicegap.store import Store, write_annotations
from servicegap.tables import RESPONSES


@pytest.fixture(scope="module")
def measured() -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    item = np.repeat(np.arange(80), 2)
    truth = rng.integers(0, 3, 80)[item]
    label = np.where(rng.random(160) < 0.15, rng.integers(0, 3, 160), truth)
    ratings = collect_ratings(
        [f"r{i}" for i in item],
        ["ann", "ben"] * 80,
        [CATEGORIES[k] for k in label],
        template=[f"t{i % 16}" for i in item],
        group=[("White", "Muslim")[i % 2] for i in item],
        categories=CATEGORIES,
    )
    found = agreement(ratings, np.random.default_rng(1), replicates=200)
    return [{"pass": "whole", **asdict(each)} for each in found]


def test_people_who_agree_are_told_in_words_a_table_and_a_plot(measured: list[dict[str, Any]]) -> None:
    raw = made_up_results(agreement=measured)
    results = read_results(raw)
    passage = passage_of(results)
    assert passage is not None
    assert passage.lead.startswith("Of 80 pairs of labels by 2 people on 80 responses, ")
    assert [table.label.split(" ")[0] for table in passage.tables] == ["All", "Each", "By"]
    figure = agreement_figure(results)
    assert figure is not None
    assert [row[0] for row in figure.body] == ["all", "names read as Muslim", "names read as White"]
    page = render(raw)
    assert page.count("How far the people who labelled agree") == 1
    assert page.count("run0-agreement-page-title") >= 1


def test_without_two_people_there_is_no_such_part() -> None:
    assert passage_of(read_results(made_up_results())) is None
    assert "How far the people who labelled agree" not in render(made_up_results())


def test_the_labels_of_a_study_are_measured(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *_: Answer(None))
    plan = small.open().plan.plan
    assert agreement_of_people(small.open(), store, plan) == []
    with store.reading() as connection:
        ids = list(connection.execute(sa.select(RESPONSES.c.id).order_by(RESPONSES.c.id)).scalars())[:60]
    given = [
        Annotation(response, person, "human", "1", "refusal" if place % step == 0 else "answer", "now")
        for person, step in (("ann", 3), ("ben", 4))
        for place, response in enumerate(ids)
    ]
    with store.writing() as connection:
        write_annotations(connection, given)
    found = agreement_of_people(small.open(), store, plan)
    whole = next(row for row in found if row["measure"] == "percent" and row["category"] is None)
    # Of 60 places 20 are multiples of 3, 15 of 4 and 5 of 12: they differ on 25.
    assert whole["value"] == pytest.approx(35 / 60)
    assert {row["group"] for row in found} >= {"North", "South", "East", None}
