import numpy as np
import pytest

from servicegap.errors import DataError
from servicegap.power import PILOT_13B, detectable_gap, power_of
from servicegap.power.planning import Labelling, best_designs, price, simulated_power, verdict, with_labelling


def test_price_by_hand() -> None:
    found = price(PILOT_13B, groups=7, names=8, templates=32, samples=3)
    assert (found.calls, found.labels, found.label_minutes) == (5376, 5376, 2688)
    assert found.detectable == detectable_gap(PILOT_13B, 8, 32, 3)
    few = price(PILOT_13B, groups=7, names=8, templates=32, samples=3, labelling=Labelling(share=0.1))
    assert (few.labels, few.label_minutes) == (538, 269)
    assert few.detectable is not None
    assert found.detectable is not None
    assert few.detectable > found.detectable


def test_labelling_a_part_adds_the_annotators_error() -> None:
    found = with_labelling(PILOT_13B, Labelling(share=0.25, annotator_error=0.04))
    assert found.repeat == pytest.approx(PILOT_13B.repeat + 3 * 0.04)
    assert with_labelling(PILOT_13B, Labelling()) == PILOT_13B


def test_pseudo_outcomes_have_the_variance_that_labelling_adds() -> None:
    rng = np.random.default_rng(1)
    y = (rng.random(400_000) < 0.3).astype(float)
    score = np.clip(0.7 * y + 0.15 + rng.normal(0, 0.1, y.size), 0, 1)
    q = 0.2
    pseudo = score + (rng.random(y.size) < q) / q * (y - score)
    assert pseudo.var() - y.var() == pytest.approx((1 / q - 1) * np.mean((y - score) ** 2), rel=0.03)


def test_names_and_templates_come_before_repeats() -> None:
    found = best_designs(PILOT_13B, groups=3, max_calls=6_000)
    best = found[0]
    assert best.samples == 1
    assert best.names >= 24
    assert all(option.calls <= 6_000 for option in found)
    gaps = [option.detectable for option in found]
    assert gaps == sorted(gaps, key=lambda gap: round(gap or 1, 4))


def test_the_budget_for_labels_counts() -> None:
    ways = [Labelling(), Labelling(share=0.1)]
    found = best_designs(PILOT_13B, groups=2, max_calls=10_000, max_label_minutes=300, labellings=ways)
    assert found
    assert all(option.label_minutes <= 300 for option in found)
    assert found[0].label_share == 0.1
    assert best_designs(PILOT_13B, groups=2, max_calls=10) == []


def test_verdict_says_whether_a_claim_can_be_supported() -> None:
    pilot = price(PILOT_13B, groups=5, names=8, templates=24, samples=3)
    told = verdict(pilot, PILOT_13B, 0.1)
    assert "cannot support a claim about a gap of 10 points" in told
    assert "gaps below 22 points are likely to be missed" in told
    assert f"{power_of(0.1, PILOT_13B, 8, 24, 3):.0%}" in told
    assert "enough for a gap of 30 points" in verdict(pilot, PILOT_13B, 0.3)


def test_mistakes() -> None:
    with pytest.raises(DataError, match="groups is 1"):
        price(PILOT_13B, groups=1, names=8, templates=8)
    with pytest.raises(DataError) as error:
        with_labelling(PILOT_13B, Labelling(share=0, annotator_error=-1, minutes_per_label=-1))
    assert len(error.value.problems) == 3


def test_simulation_agrees_with_the_closed_form() -> None:
    found = simulated_power(0.2, PILOT_13B, 16, 24, 1, np.random.default_rng(2), datasets=600)
    assert found == pytest.approx(power_of(0.2, PILOT_13B, 16, 24), abs=0.08)
    null = simulated_power(0.0, PILOT_13B, 8, 24, 1, np.random.default_rng(3), datasets=600)
    assert null < 0.07
