"""What the plan of analysis can say: weights, the family of planned gaps; and what a design claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from conftest import Answer, Ended, SmallStudy
from pydantic import ValidationError

from servicegap.analyse import analyse
from servicegap.design_claims import based_on, design_sentences, detectable_gaps
from servicegap.disparity.cells import Cells, aggregate
from servicegap.disparity.comparison import gaps_of
from servicegap.disparity.crossed import contrast
from servicegap.disparity.group_rates import rates_of
from servicegap.errors import DataError
from servicegap.power import PILOT_13B, detectable_gap
from servicegap.report import render, summary
from servicegap.store import Store, write_meta
from servicegap.study import AnalysisPlan, WeightsPlan


def made(
    rng: np.random.Generator, gap: float = 0.0, names: int = 8, sizes: tuple[int, int] = (6, 18)
) -> Cells:
    """Cells of two groups; the second part has templates in which a name matters more."""
    templates = sum(sizes)
    by_name, by_template = rng.normal(0, 0.08, 2 * names), rng.normal(0, 0.1, (2, templates))
    mean = 0.4 + by_name[:, None] + np.repeat(by_template, names, axis=0)
    mean[:names] += gap
    mean += rng.normal(0, 0.1, mean.shape)
    row, column = np.indices(mean.shape)
    return aggregate(
        mean.ravel(),
        np.where(row.ravel() < names, "a", "b"),
        row.ravel(),
        column.ravel(),
        part=np.where(column.ravel() < sizes[0], "first", "second"),
    )


def test_a_weighted_gap_is_the_weighted_sum_of_the_parts_gaps() -> None:
    cells = made(np.random.default_rng(1))
    weights = {"first": 0.7, "second": 0.3}
    parts = {
        part: gaps_of(cells.take(columns=cells.columns(part)), reference="b")["a"].value for part in weights
    }
    found = gaps_of(cells, reference="b", weights=weights)["a"]
    assert found.value == pytest.approx(sum(weights[part] * (parts[part] or 0) for part in weights))
    rate = rates_of(cells, weights=weights)["a"].value
    alone = {p: rates_of(cells.take(columns=cells.columns(p)))["a"].value or 0 for p in weights}
    assert rate == pytest.approx(sum(weights[part] * alone[part] for part in weights))


def test_weights_by_size_change_nothing_but_how_templates_vary() -> None:
    cells = made(np.random.default_rng(2))
    plain = gaps_of(cells, reference="b")["a"]
    weighted = gaps_of(cells, reference="b", weights={"first": 6 / 24, "second": 18 / 24})["a"]
    assert weighted.value == pytest.approx(plain.value)
    only = gaps_of(cells, reference="b", weights={"first": 1.0, "second": 0.0})["a"]
    assert only.value == pytest.approx(
        gaps_of(cells.take(columns=cells.columns("first")), reference="b")["a"].value
    )


def test_the_variance_of_a_weighted_contrast_by_hand() -> None:
    rng = np.random.default_rng(3)
    tables = [[rng.normal(size=(4, 5)), rng.normal(size=(4, 3))] for _ in range(2)]
    weights = (0.8, 0.2)
    found = contrast(tables, [list(weights), [-w for w in weights]])
    names = [sum(w * t.mean(axis=1) for w, t in zip(weights, row, strict=True)) for row in tables]
    assert found.from_names == pytest.approx(sum(n.var(ddof=1) / 4 for n in names))
    by_template = [
        w**2 * (tables[0][p].mean(axis=0) - tables[1][p].mean(axis=0)).var(ddof=1) / tables[0][p].shape[1]
        for p, w in enumerate(weights)
    ]
    assert found.from_templates == pytest.approx(sum(by_template))


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ({"first": 1.0}, "part 'second' of the templates has no weight"),
        ({"first": 0.5, "second": 0.2, "third": 0.3}, "weight of part 'third', which has no template"),
        ({"first": 0.5, "second": 0.2}, "weights sum to 0.7"),
        ({"first": -0.5, "second": 1.5}, "weight of 'first' is -0.5"),
    ],
)
def test_weights_that_do_not_fit_are_told(weights: dict[str, float], told: str) -> None:
    with pytest.raises(DataError, match=told):
        gaps_of(made(np.random.default_rng(4)), reference="b", weights=weights)


@pytest.mark.slow
def test_weighted_gaps_hold_their_level() -> None:
    rng = np.random.default_rng(5)
    weights = {"first": 0.7, "second": 0.3}
    found = [gaps_of(made(rng, 0.1), reference="b", weights=weights)["a"] for _ in range(1500)]
    covered = sum((e.low or 1) <= 0.1 <= (e.high or -1) for e in found) / len(found)
    assert covered >= 0.92
    null = [gaps_of(made(rng), reference="b", weights=weights)["a"].p for _ in range(1500)]
    assert sum(p is not None and p < 0.05 for p in null) / len(null) <= 0.07


def test_the_plan_checks_itself() -> None:
    with pytest.raises(ValidationError, match=r"sum to 0\.9"):
        WeightsPlan(shares={"a": 0.5, "b": 0.4})
    with pytest.raises(ValidationError, match="'White' is the reference"):
        AnalysisPlan(family=("White", "Muslim"))
    assert AnalysisPlan().in_family("anybody")
    assert not AnalysisPlan(family=("Muslim",)).in_family("Chinese")


def answers(call: object, signal: object, template: object) -> Answer:
    chance = int(call.id[:4], 16) % 10  # type: ignore[attr-defined]  # a Call
    return Answer("refusal" if chance < {"North": 2, "South": 6}.get(str(signal.group), 3) else "answer")  # type: ignore[attr-defined]  # a Signal


def test_weights_and_family_of_a_study_are_followed_shown_and_frozen(small: SmallStudy, store: Store) -> None:
    small.answer(store, answers)
    with store.writing() as connection:
        write_meta(connection, "plan_at_first_collection", small.open().plan.plan.model_dump_json())
    weights = "weights: {shares: {South: 0.75, East: 0.25}}"
    small.change(
        "study.yaml", "  level: 0.95", f"  level: 0.95\n  {weights}\n  family: [South]\n  margin: 0.2"
    )
    results = analyse(small.open(), store, small.design(store))
    estimates = pl.DataFrame(
        [e for e in results["estimates"] if e["outcome"] == "refused"], infer_schema_length=None
    )
    gaps = estimates.filter(pl.col("target").is_null(), pl.col("group") == "South")
    values = dict(
        gaps.filter(pl.col("kind").is_in(["gap", "gap_unweighted"])).select("kind", "value").iter_rows()
    )
    by_target = dict(
        estimates.filter(pl.col("kind") == "gap", pl.col("group") == "South", pl.col("target").is_not_null())
        .select("target", "value")
        .iter_rows()
    )
    assert values["gap"] == pytest.approx(0.75 * by_target["South"] + 0.25 * by_target["East"])
    assert values["gap_unweighted"] == pytest.approx((by_target["South"] + by_target["East"]) / 2)
    planned = estimates.filter(pl.col("planned"))
    assert set(planned["group"]) == {"South"}
    assert set(planned["kind"]) == {"gap", "contrast", "equivalence"}
    # One gap in the family: nothing to adjust for.
    assert (
        planned.filter(pl.col("kind") == "gap")["p_adjusted"].item()
        == planned.filter(pl.col("kind") == "gap")["p"].item()
    )
    assert {text.split(" was ")[0] for text in results["plan"]["deviations"]} == {
        "weights",
        "family",
        "margin",
    }
    page = render(results)
    assert "weighted by the template's target: South 75 %, East 25 %" in page
    assert "One planned gap" in page or "The one planned gap" in page


def test_weights_that_fit_no_template_yet_lose_nothing_else(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *call: answers(*call) if call[2].target == "South" else None)
    small.change("study.yaml", "  level: 0.95", "  level: 0.95\n  weights: {shares: {South: 0.5, East: 0.5}}")
    results = analyse(small.open(), store, small.design(store))
    [gap] = [e for e in results["estimates"] if e["kind"] == "gap" and e["planned"] and e["group"] == "South"]
    assert gap["value"] is None
    assert "the plan's weights do not fit" in gap["note"]
    assert any(e["kind"] == "gap" and e["target"] == "South" for e in results["estimates"])


def test_a_design_says_what_it_rests_on_detects_and_costs(small: SmallStudy, store: Store) -> None:
    told = design_sentences(small.open(), small.design(store))
    assert told[0] == (
        "The planned gaps are over the 6 templates that carry a stereotype; the 2 neutral ones are a part of "
        "their own."
    )
    assert any(text.startswith("Found four times out of five, in points: South ") for text in told)
    assert any("gaps by target are hardly supported" in text for text in told)
    assert any("416 labels, about 3 hours" in text for text in told)
    design = small.design(store)
    lone = replace(design, signals=[s for s in design.signals if s.group != "South" or s.text == "Ema"])
    assert any(
        "No gap of South can be supported: too few to test it (1 name of the group" in text
        for text in design_sentences(small.open(), lone)
    )
    assert any("even where it is the only gap among those planned (Holm)" in text for text in told)
    plain = replace(design, templates=[replace(t, target=None) for t in design.templates])
    assert "No template carries a stereotype" in design_sentences(small.open(), plain)[0]
    assert based_on(8, 0, targeted=False) == design_sentences(small.open(), plain)[0]


def test_the_detectable_gap_is_the_largest_by_the_first_step_of_holm() -> None:
    plan = AnalysisPlan()
    design = detectable_gaps({"White": 8, "Muslim": 8, "Chinese": 4}, 10, 1, plan)
    one_of_two = {
        group: detectable_gap(PILOT_13B, names, 10, level=1 - 0.05 / 2)
        for group, names in {"Muslim": 8, "Chinese": 16 / 3}.items()
    }
    assert {row["group"]: row["gap"] for row in design["detectable"]} == one_of_two
    assert design["detectable_gap"] == one_of_two["Chinese"] == max(one_of_two.values())  # type: ignore[type-var]
    assert (
        "even where it is the only gap among the 2 planned (Holm's first step)" in design["detectable_note"]
    )
    alone = detectable_gaps({"White": 8, "Muslim": 8}, 10, 1, plan)
    assert alone["detectable_gap"] == detectable_gap(PILOT_13B, 8, 10)
    assert "Holm" not in alone["detectable_note"]
    family = AnalysisPlan(family=("Muslim",))
    assert detectable_gaps({"White": 8, "Muslim": 8, "Chinese": 4}, 10, 1, family) == alone


def test_the_detectable_gap_is_that_of_the_command_plan(run: Callable[..., Ended]) -> None:
    planned = run("plan", "--names", 8, "--templates", 10, "--groups", 3).out
    gap = detectable_gaps({"White": 8, "Muslim": 8, "Chinese": 8}, 10, 1, AnalysisPlan())["detectable_gap"]
    assert f"[1] With Holm over 2 gaps, the only one must be {100 * gap:.1f} points" in planned


def test_why_no_gap_is_detected_is_the_true_reason() -> None:
    plan = AnalysisPlan()
    design = detectable_gaps({"White": 4, "Muslim": 4, "Chinese": 1}, 2, 1, plan)
    notes = {row["group"]: row["note"] for row in design["detectable"]}
    assert notes["Muslim"] == "even a gap of 100 points would often be missed"
    assert notes["Chinese"].startswith(
        "too few to test it (1 name of the group, 4 of the reference, 2 templates)"
    )
    assert design["detectable_gap"] is None
    assert all(note in design["detectable_note"] for note in notes.values())
    # Two groups are planned, but a test can be made of one: there is nothing to adjust for.
    one = detectable_gaps({"White": 8, "Muslim": 8, "Chinese": 1}, 10, 1, plan)
    assert one["detectable_gap"] == detectable_gap(PILOT_13B, 8, 10)
    assert detectable_gaps({"White": 8, "Muslim": 8}, 1, 1, plan)["detectable"][0]["note"].startswith(
        "too few to test it (8 names of the group, 8 of the reference, 1 template)"
    )
    assert "nothing is known beforehand" in detectable_gaps({}, 10, 1, plan)["detectable_note"]


def test_a_family_without_responses_is_the_reason_for_no_gap(small: SmallStudy, store: Store) -> None:
    small.answer(store, lambda *call: answers(*call) if call[1].group != "East" else None)
    small.change("study.yaml", "  level: 0.95", "  level: 0.95\n  family: [East]")
    told = "\n".join(summary(analyse(small.open(), store, small.design(store))))
    assert (
        "There is no planned gap to report: no response is about East, the family of planned gaps; there are "
        "responses about South."
    ) in told


def test_a_study_without_stereotypes_says_what_its_gaps_rest_on(small: SmallStudy, store: Store) -> None:
    text = (small.folder / "templates.yaml").read_text(encoding="utf-8")
    small.write("templates.yaml", text.replace(", target: South", "").replace(", target: East", ""))
    small.answer(store, answers)
    told = "\n".join(summary(analyse(small.open(), store, small.design(store))))
    assert "No template carries a stereotype, so the planned gaps are over all 8 templates" in told
