"""What stands beside the planned gaps: that all of it is there, and says what was put in."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from servicegap.beside import Beside, stand_beside
from servicegap.disparity.categories import CategoryCells, count_categories
from servicegap.disparity.comparison import gaps_of
from servicegap.records import OUTCOMES
from servicegap.study import AnalysisPlan

NAMES = {"North": ["a", "b", "c", "d", "e", "f"], "South": ["u", "v", "w", "x", "y", "z"]}
TEMPLATES = [f"t{number}" for number in range(8)]
PLAN = AnalysisPlan(reference="North", margin=0.1)


def counted(refusals: dict[str, float], *, lost: str | None = None) -> CategoryCells:
    """Count four responses a cell; a name is refused in the given share of its templates."""
    rows = [
        (
            None
            if name == lost
            else "refusal"
            if (number + 3 * place) % len(TEMPLATES) < refusals.get(name, 0.0) * len(TEMPLATES)
            else "answer",
            group,
            name,
            template,
            "woman" if place < 3 else "man",
        )
        for group, names in NAMES.items()
        for place, name in enumerate(names)
        for number, template in enumerate(TEMPLATES)
        for _ in range(4)
    ]
    category, group, signal, template, gender = zip(*rows, strict=True)
    return count_categories(category, group, signal, template, strata={"gender": gender})


def beside(cells: CategoryCells, plan: AnalysisPlan) -> Beside:
    gaps = gaps_of(cells.outcome(OUTCOMES[plan.primary]), reference=plan.reference, outcome_name=plan.primary)
    return stand_beside(cells, plan, list(gaps.values()))


def kinds(found: Beside) -> Counter[str]:
    return Counter(estimate.kind for estimate in found.estimates)


EVEN = {name: 0.25 for names in NAMES.values() for name in names} | {"b": 0.375, "v": 0.375, "y": 0.5}


def test_every_part_is_there() -> None:
    found = kinds(beside(counted(EVEN), PLAN))
    assert found["gap_without"] == 12 + 8
    assert found["template_gap"] == 8
    for kind in (
        "permutation",
        "gap_simultaneous",
        "equivalence",
        "gap_bounds",
        "four_fifths",
        "ratio",
        "odds_ratio",
    ):
        assert found[kind] == 1
    for kind in ("interaction", "placebo", "largest_gap", "omnibus", "missingness", "mixed_gap"):
        assert found[kind] == 1
    assert found["level_gap"] == 2


def test_a_gap_that_owes_much_to_one_name_says_which() -> None:
    more = dict.fromkeys("uvwxy", 0.5) | {"z": 1.0}
    remarks = beside(counted({**EVEN, **more}), PLAN).remarks
    [sentence] = [remark.text for remark in remarks if remark.about == "gap_without"]
    assert "one name: z" in sentence


def test_chance_is_not_put_down_to_a_name() -> None:
    remarks = beside(counted({**EVEN, "z": 0.375}), PLAN).remarks
    assert [remark for remark in remarks if remark.about == "gap_without"] == []


def test_variance_shares_sum_to_one() -> None:
    found = beside(counted(EVEN), PLAN).estimates
    shares = [estimate.value for estimate in found if estimate.kind == "variance_share"]
    assert len(shares) == 5
    assert sum(share or 0.0 for share in shares) == pytest.approx(1)


def test_missing_labels_widen_the_worst_case() -> None:
    [bounds] = [e for e in beside(counted(EVEN, lost="x"), PLAN).estimates if e.kind == "gap_bounds"]
    assert bounds.low is not None
    assert bounds.high is not None
    # One of six names without any label: its rate may be anything from 0 to 1.
    assert bounds.high - bounds.low == pytest.approx(1 / 6)


def test_names_are_exchanged_within_gender() -> None:
    found = beside(counted(EVEN), PLAN).estimates
    [permuted] = [estimate for estimate in found if estimate.kind == "permutation"]
    assert permuted.p is not None
    assert 0 < permuted.p <= 1
    assert "within gender" in str(permuted.note)
    assert permuted.value is None


def test_no_margin_no_equivalence() -> None:
    assert kinds(beside(counted(EVEN), AnalysisPlan(reference="North")))["equivalence"] == 0


def test_what_cannot_be_fitted_is_undefined_with_its_reason() -> None:
    found = beside(counted(dict.fromkeys(NAMES["South"], 0.25)), PLAN).estimates
    [mixed] = [estimate for estimate in found if estimate.kind == "mixed_gap"]
    assert mixed.value is None
    assert "cannot be fitted" in str(mixed.note)


def test_drawn_figures_are_the_same_again() -> None:
    first, second = (beside(counted(EVEN), PLAN).estimates for _ in range(2))
    drawn = ("largest_gap", "omnibus", "missingness", "placebo")
    assert [e.p for e in first if e.kind in drawn] == [e.p for e in second if e.kind in drawn]
    assert any(e.p is not None and np.isfinite(e.p) for e in first if e.kind in drawn)
