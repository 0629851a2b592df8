"""Correction by a human sample: cases by hand, refusals, properties, coverage in simulated worlds."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import beta

from servicegap.annotators import OfflineAnnotator, SignalMask
from servicegap.correction import corrected_gaps, corrected_rates, corrected_ratio
from servicegap.correction.annotator_errors import annotator_errors, rogan_gladen_rates
from servicegap.correction.corpus import corpus_gaps, corpus_rates, corpus_ratio
from servicegap.correction.crossfit import crossfit_scores
from servicegap.correction.human_sample import human_sample
from servicegap.correction.post_stratification import Figure, Proportion, jeffreys, post_stratify
from servicegap.correction.prediction_powered import pseudo_outcomes
from servicegap.disparity import gaps, rates
from servicegap.disparity.cells import aggregate
from servicegap.disparity.ratios import ratio_of
from servicegap.errors import DataError
from servicegap.records import CATEGORIES, OUTCOMES, Estimate

PILOT = Path(__file__).parents[1] / ".." / "shared" / "data" / "llama2_7b_chat_annotated.csv"

Columns = dict[str, Any]


def world(
    seed: int,
    *,
    share: float = 0.15,
    names: int = 8,
    templates: int = 24,
    samples: int = 2,
    sensitivity: tuple[float, float] = (0.65, 0.9),
    size: float = 1.0,
) -> tuple[Columns, NDArray[np.float64]]:
    """Two groups; the annotator misses more in group a. Returns columns, and the true outcomes."""
    rng = np.random.default_rng(seed)
    shape = (2, names, templates, samples)
    logit = (
        rng.normal(0, size, (1, 1, templates, 1))
        + rng.normal(0, 0.5 * size, (2, names, 1, 1))
        + rng.normal(0, 0.5 * size, (2, 1, templates, 1))
        + np.array([0.5, -0.5]).reshape(2, 1, 1, 1)
    )
    truth = (rng.random(shape) < expit(logit)).astype(float).ravel()
    group, name, template, _ = (axis.ravel() for axis in np.indices(shape))
    right = rng.random(len(truth)) < np.where(truth == 1, np.array(sensitivity)[group], 0.95)
    said = np.where(right, truth, 1 - truth)
    columns = {
        "score": np.clip(np.where(said == 1, 0.85, 0.1) + rng.normal(0, 0.05, len(truth)), 0, 1),
        "label": np.where(rng.random(len(truth)) < share, truth, np.nan),
        "probability": np.full(len(truth), share),
        "group": np.array(["a", "b"])[group],
        "signal": np.array([f"{'ab'[g]}{n}" for g, n in zip(group, name, strict=True)]),
        "template": np.array([f"t{t}" for t in template]),
    }
    return columns, truth


def labelled_fully(columns: Columns, truth: NDArray[np.float64]) -> Columns:
    return columns | {"label": truth, "probability": np.ones(len(truth))}


def without_cells(columns: Columns) -> Columns:
    return {key: columns[key] for key in ("score", "label", "probability", "group")}


def figures(estimate: Estimate) -> list[float | None]:
    return [estimate.value, estimate.low, estimate.high, estimate.se, estimate.df, estimate.p]


# By hand


def test_pseudo_outcomes_by_hand() -> None:
    sample = human_sample([0.9, 0.2, 0.6, 0.5], [1, None, 0, None], [0.5, 0.5, 0.25, None], ["a"] * 4)
    # 0.9 + (1 - 0.9) / 0.5, 0.2, 0.6 + (0 - 0.6) / 0.25, 0.5
    assert_allclose(pseudo_outcomes(sample), [1.1, 0.2, -1.8, 0.5])


def test_the_rate_of_a_corpus_by_hand() -> None:
    """Two strata of 10, six of each labelled at random, 5 disagreements."""
    score = [0.75] * 10 + [0.25] * 10
    people = [1, 1, 1, 0, 0, 0, *[None] * 4, 0, 0, 0, 0, 1, 1, *[None] * 4]
    found = corpus_rates(score, people, [0.6] * 20, ["a"] * 20)["a"]
    # Means of Y - f: 0.5 - 0.75 and 1/3 - 0.25; variances of Y with n - 1: 0.3 and 4/15; W = 1/2.
    assert found.value == pytest.approx((0.75 - 0.25 + 0.25 + 1 / 12) / 2)
    variances = [0.25 * 0.4 * s2 / 6 for s2 in (0.3, 4 / 15)]
    assert found.se == pytest.approx(sum(variances) ** 0.5)
    assert found.df == pytest.approx(sum(variances) ** 2 / sum(v**2 / 5 for v in variances))
    assert (found.labels, found.n_responses, found.n_missing) == ("corrected", 20, 0)
    assert found.method == "prediction-powered, this corpus alone (finite population)"
    assert str(found.note).startswith("12 of 20 responses labelled by people; only 12 responses of a")


def test_post_stratification_by_hand() -> None:
    score = [0.9] * 4 + [0.1] * 6
    people = [1, 1, None, None, 0, 0, 1, None, None, None]
    sample = human_sample(score, people, [0.5] * 10, ["a"] * 10)
    filled = post_stratify(sample, "a")
    assert_allclose(filled.outcome, [1, 1, 1, 1, 0, 0, 1, 1 / 3, 1 / 3, 1 / 3])
    yes, no = filled.proportions
    assert [yes.value, yes.size, yes.weight] == pytest.approx([1, 2, 0.4 * 0.5**0.5])
    assert [no.value, no.size, no.weight] == pytest.approx([1 / 3, 3, 0.6 * 0.5**0.5])
    found = corpus_rates(score, people, [0.5] * 10, ["a"] * 10)["a"]
    assert found.value == pytest.approx(0.6)
    upper = beta(1.5, 2.5).ppf(0.975) - 1 / 3
    assert found.high == pytest.approx(0.6 + 0.6 * 0.5**0.5 * upper)
    assert found.method == "post-stratified, this corpus alone (finite population)"
    assert "disagree on 1 labelled responses of a, fewer than 5" in str(found.note)


def test_jeffreys_is_the_beta_quantile_and_reaches_the_ends() -> None:
    limits = jeffreys(3, 20, 0.9)
    assert [limits.low, limits.high] == pytest.approx(beta(3.5, 17.5).ppf([0.05, 0.95]))
    assert jeffreys(0, 20, 0.9).low == 0
    assert jeffreys(20, 20, 0.9).high == 1
    unknown = jeffreys(0, 0, 0.95)
    assert 0 < unknown.low < 0.01
    assert 0.99 < unknown.high < 1


def test_the_interval_at_one_minus_p_touches_zero() -> None:
    figure = Figure(0.1, 0.002, 7, (Proportion(0.1, 2, 20, 0.4), Proportion(0, 0, 30, -0.6)))
    assert 0.01 < figure.p < 0.9
    assert figure.limits(1 - figure.p).low == pytest.approx(0, abs=1e-9)
    assert Figure(-0.1, 0.002, 7).p == pytest.approx(Figure(0.1, 0.002, 7).p)
    assert Figure(0.0, 0.002, 7).p == 1


def test_sensitivity_specificity_and_rogan_gladen_by_hand() -> None:
    score = [0.9] * 3 + [0.1] * 7
    people = [1, 1, 0, 1, 0, 0, 0, 0, None, None]
    found = annotator_errors(score, people, [0.8] * 10, ["a"] * 10)
    assert [(e.kind, e.group, e.n_responses) for e in found] == [
        ("sensitivity", "a", 3),
        ("specificity", "a", 5),
        ("sensitivity", None, 3),
        ("specificity", None, 5),
    ]
    assert [e.value for e in found[:2]] == pytest.approx([2 / 3, 4 / 5])
    assert [found[0].low, found[0].high] == pytest.approx(beta(2.5, 1.5).ppf([0.025, 0.975]))
    checked = rogan_gladen_rates(score, people, [0.8] * 10, ["a"] * 10)["a"]
    assert checked.value == pytest.approx((0.3 + 0.8 - 1) / (2 / 3 + 0.8 - 1))
    assert checked.value is not None
    assert checked.low is not None
    assert checked.high is not None
    assert 0 <= checked.low < checked.value < checked.high <= 1


def test_labels_count_one_over_their_probability() -> None:
    score, people = [0.9, 0.9, 0.1, 0.1], [1, 1, 1, 1]
    found = annotator_errors(score, people, [1, 1, 0.25, 0.25], ["a"] * 4)[0]
    assert found.value == pytest.approx(2 / 10)
    # Kish: (1 + 1 + 4 + 4)^2 / (1 + 1 + 16 + 16)
    assert found.high == pytest.approx(beta(0.2 * 100 / 34 + 0.5, 0.8 * 100 / 34 + 0.5).ppf(0.975))


def test_an_annotator_that_says_nothing_has_no_cross_check() -> None:
    nothing = rogan_gladen_rates([0.9, 0.1, 0.9, 0.1], [1, 1, 0, 0], [1] * 4, ["a"] * 4)["a"]
    assert (nothing.value, nothing.low) == (None, None)
    assert "sensitivity 0.50 and specificity 0.50 of a add up to no more than 1" in str(nothing.note)
    one_sided = rogan_gladen_rates([0.9, 0.1], [1, 1], [1, 1], ["a", "a"])["a"]
    assert one_sided.value is None
    assert one_sided.note == "undefined: no specificity of a can be had from the labels"
    missing = annotator_errors([0.9, 0.1], [1, 1], [1, 1], ["a", "a"])[1]
    assert missing.value is None
    assert missing.note == 'people call no labelled response "no", so there is none to judge by'


# Everything labelled


@pytest.mark.parametrize("seed", [1, 2])
def test_with_every_response_labelled_it_is_the_plain_estimate(seed: int) -> None:
    columns, truth = world(seed)
    columns = labelled_fully(columns, truth)
    plain = (truth, columns["group"], columns["signal"], columns["template"])
    corrected = corrected_gaps(**columns, reference="b")["a"]
    expected = gaps(*plain, reference="b")["a"]
    assert figures(corrected) == figures(expected)
    assert (corrected.method, corrected.labels) == ("crossed Welch", "corrected")
    assert corrected.note == "768 of 768 responses labelled by people"
    of_groups = rates(*plain)
    for group, rate in corrected_rates(**columns).items():
        assert figures(rate) == figures(of_groups[group])
    ratio = corrected_ratio(**columns, of="a", reference="b", kind="four_fifths")
    assert figures(ratio) == figures(ratio_of(aggregate(*plain), "a", "b", "four_fifths"))


def test_a_corpus_that_is_wholly_labelled_leaves_nothing_to_estimate() -> None:
    columns, truth = world(3)
    found = corpus_gaps(**without_cells(labelled_fully(columns, truth)), reference="b")["a"]
    in_a = columns["group"] == "a"
    assert found.value == pytest.approx(truth[in_a].mean() - truth[~in_a].mean())
    assert (found.low, found.se, found.p) == (None, None, None)
    assert "there is nothing to estimate" in str(found.note)


# What it is for


def test_the_correction_removes_the_annotators_bias_and_beats_labels_alone() -> None:
    columns, truth = world(40, share=0.1, sensitivity=(0.75, 0.97))
    where = (columns["group"], columns["signal"], columns["template"])
    true = gaps(truth, *where, reference="b")["a"]
    automatic = gaps(columns["score"] >= 0.5, *where, reference="b")["a"]
    alone = gaps(columns["label"], *where, reference="b")["a"]
    corrected = corrected_gaps(**columns, reference="b")["a"]
    corpus = corpus_gaps(**without_cells(columns), reference="b")["a"]
    values = [e.value for e in (true, automatic, corrected, corpus)]
    assert all(value is not None for value in values)
    error = [abs(float(value or 0) - float(true.value or 0)) for value in values]
    assert error[2] < 0.5 * error[1]
    assert error[3] < 0.5 * error[1]
    assert true.se is not None
    assert alone.se is not None
    assert corrected.se is not None
    assert corpus.se is not None
    assert true.se < corrected.se < 0.5 * alone.se
    assert corpus.se < corrected.se
    assert corrected.method == "prediction-powered and post-stratified, crossed Welch"


def test_a_ratio_is_that_of_the_corrected_rates() -> None:
    columns, _ = world(4, share=0.3)
    for kind in ("ratio", "four_fifths", "odds_ratio"):
        for found, of_groups in (
            (corrected_ratio(**columns, of="a", reference="b", kind=kind), corrected_rates(**columns)),
            (
                corpus_ratio(**without_cells(columns), of="a", reference="b", kind=kind),
                corpus_rates(**without_cells(columns)),
            ),
        ):
            a, b = (float(of_groups[group].value or 0) for group in ("a", "b"))
            expected = {
                "ratio": a / b,
                "four_fifths": (1 - a) / (1 - b),
                "odds_ratio": a / (1 - a) * (1 - b) / b,
            }
            assert found.value == pytest.approx(expected[kind])
            assert found.low is not None
            assert found.high is not None
            assert found.low < expected[kind] < found.high


def test_the_order_of_rows_and_the_spelling_of_labels_do_not_matter() -> None:
    columns, _ = world(5)
    order = np.random.default_rng(0).permutation(len(columns["score"]))
    other: Columns = {key: list(values[order]) for key, values in columns.items()}
    other["label"] = [None if np.isnan(y) else bool(y) for y in other["label"]]
    other["group"] = [{"a": "z", "b": "y"}[g] for g in other["group"]]
    other["signal"] = [f"name {name}" for name in other["signal"]]
    for function, names in ((corrected_gaps, list(columns)), (corpus_gaps, list(without_cells(columns)))):
        one = function(**{k: columns[k] for k in names}, reference="b")["a"]
        two = function(**{k: other[k] for k in names}, reference="y")["z"]
        assert figures(one) == pytest.approx(figures(two))
    errors = [annotator_errors(**without_cells(c)) for c in (columns, other)]
    assert [e.value for e in errors[0][:2]] == pytest.approx([e.value for e in errors[1][2:4]])


def test_swapping_the_groups_turns_the_gap_round() -> None:
    columns, _ = world(6)
    for function, chosen in ((corrected_gaps, columns), (corpus_gaps, without_cells(columns))):
        one = function(**chosen, reference="b")["a"]
        other = function(**chosen, reference="a")["b"]
        assert one.low is not None
        assert one.high is not None
        assert [other.value, other.low, other.high] == pytest.approx([-(one.value or 0), -one.high, -one.low])
        assert other.p == pytest.approx(one.p)


def test_a_post_stratified_interval_is_no_narrower_than_the_prediction_powered_one() -> None:
    columns, _ = world(7, share=0.04, sensitivity=(0.97, 0.97))
    found = corrected_gaps(**columns, reference="b")["a"]
    assert found.method == "post-stratified, crossed Welch"
    sample = human_sample(**without_cells(columns))
    powered = gaps(
        pseudo_outcomes(sample), columns["group"], columns["signal"], columns["template"], reference="b"
    )["a"]
    assert found.se is not None
    assert powered.se is not None
    assert found.low is not None
    assert found.high is not None
    assert powered.low is not None
    assert powered.high is not None
    assert found.se >= powered.se
    assert found.high - found.low >= powered.high - powered.low - 1e-12


def test_a_group_without_any_outcome_has_a_limit_and_no_p() -> None:
    columns, _ = world(8, share=0.2)
    in_b = columns["group"] == "b"
    columns["score"] = np.where(in_b, 0.05, columns["score"])
    columns["label"] = np.where(in_b & ~np.isnan(columns["label"]), 0.0, columns["label"])
    rate = corrected_rates(**columns)["b"]
    assert (rate.value, rate.low) == (0, 0)
    assert rate.high is not None
    assert 0 < rate.high < 0.5
    assert "no response of b has the outcome, by people or annotator" in str(rate.note)
    gap = corrected_gaps(**columns, reference="b")["a"]
    assert gap.p is None
    assert gap.low is not None
    assert gap.high is not None
    assert gap.low < float(gap.value or 0) < gap.high


# Strata


def test_given_strata_and_thin_ones() -> None:
    columns, truth = world(9, share=0.2)
    given = np.where(np.arange(len(truth)) % 2 == 0, "even", "odd")
    found = corpus_gaps(**without_cells(columns), reference="b", strata=given)["a"]
    free = corpus_gaps(**without_cells(columns), reference="b")["a"]
    assert found.value != free.value
    assert found.value == pytest.approx(free.value, abs=0.1)
    alone = np.where(np.arange(len(truth)) == 0, "alone", given)  # a stratum without a label
    columns["label"][0] = np.nan
    thin = corpus_gaps(**without_cells(columns), reference="b", strata=alone)["a"]
    assert thin.low is not None
    with pytest.raises(DataError, match="strata has 2 entries and score 768"):
        corpus_rates(**without_cells(columns), strata=["x", "y"])


# Whose labels


def test_labels_that_taught_the_annotator_are_refused() -> None:
    columns, _ = world(10)
    taught = ~np.isnan(columns["label"])
    first = int(np.flatnonzero(taught)[0])
    told = (
        rf"label\[{first}\] taught the annotator whose score it would correct \({taught.sum()} labels did\)"
    )
    with pytest.raises(DataError, match=told):
        corrected_gaps(**columns, reference="b", fitted_on=taught)
    for function in (corpus_rates, annotator_errors, rogan_gladen_rates):
        with pytest.raises(DataError, match=told):
            function(**without_cells(columns), fitted_on=taught)
    elsewhere = corrected_gaps(**columns, reference="b", fitted_on=~taught)["a"]
    assert figures(elsewhere) == figures(corrected_gaps(**columns, reference="b")["a"])


def test_out_of_fold_scores_are_accepted_and_their_folds_checked() -> None:
    columns, _ = world(11)
    taught = ~np.isnan(columns["label"])
    fold = np.array([int(t[1:]) % 5 for t in columns["template"]])
    assert corrected_gaps(**columns, reference="b", fitted_on=taught, fold=fold)["a"].low is not None
    split = np.arange(len(fold)) % 5
    with pytest.raises(DataError, match=r"template 't0' is in \d folds \(24 such templates\)"):
        corrected_gaps(**columns, reference="b", fold=split)
    with pytest.raises(DataError, match="fold has one value only"):
        corrected_gaps(**columns, reference="b", fold=np.zeros(len(fold)))
    with pytest.raises(DataError, match="fold is given without template"):
        corpus_rates(**without_cells(columns), fold=fold)


def test_no_response_is_scored_by_an_annotator_that_saw_its_template() -> None:
    template = np.repeat([f"t{i}" for i in range(7)], 4)
    label = np.where(np.arange(28) % 4 < 2, np.arange(28) % 2, np.nan)
    seen: list[set[str]] = []

    def fit(features: NDArray[Any], labels: NDArray[Any]) -> Any:
        assert len(features) == len(labels)
        assert not np.isnan(labels).any()
        learnt = set(features)

        def predict(others: NDArray[Any]) -> NDArray[np.float64]:
            assert not learnt & set(others)
            seen.append(set(others))
            return np.full(len(others), len(learnt) / 10)

        return predict

    found = crossfit_scores(fit, list(template), label, template, 3, np.random.default_rng(0))
    assert sorted(map(len, seen)) == [2, 2, 3]
    assert set.union(*seen) == set(template)
    assert set(np.round(found.score, 3)) == {0.4, 0.5}
    assert all(len(set(found.fold[template == t])) == 1 for t in set(template))
    back = crossfit_scores(
        fit, list(template[::-1]), label[::-1], template[::-1], 3, np.random.default_rng(0)
    )
    assert (back.fold[::-1] == found.fold).all()


def test_cross_fitting_that_cannot_be_is_refused() -> None:
    def fit(features: NDArray[Any], labels: NDArray[Any]) -> Any:
        return lambda others: np.full(len(others), 1.5)

    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match="folds is 3; give 2 to 2, the number of templates"):
        crossfit_scores(fit, [1, 2], [1, 0], ["s", "t"], 3, rng)
    with pytest.raises(DataError, match="different lengths"):
        crossfit_scores(fit, [1], [1, 0], ["s", "t"], 2, rng)
    with pytest.raises(DataError, match="has a label to learn from"):
        crossfit_scores(fit, [1, 2], [1, None], ["s", "t"], 2, np.random.default_rng(1))
    with pytest.raises(DataError, match="some outside 0 to 1"):
        crossfit_scores(fit, [1, 2], [1, 0], ["s", "t"], 2, rng)


# Bad input and doubtful samples


def test_all_mistakes_are_told_together() -> None:
    with pytest.raises(DataError) as error:
        human_sample([0.5, 1.5], [0.5, 1], [-0.1, 1], ["a", None])
    assert error.value.problems == (
        "group[1] is missing (1 of 2 are); every response needs its group: leave such responses out or "
        "name it",
        "score[1] is 1.5 (1 such entries); give the annotator's probability of the outcome, 0 to 1",
        "probability[0] is -0.1 (1 such entries); give a chance of being labelled, 0 to 1",
        "label[0] is 0.5 (1 such entries); give true/false or 0/1, and None where nobody was asked",
    )
    with pytest.raises(DataError, match="different lengths"):
        human_sample([0.5], [1, 0], [1, 1], ["a", "a"])
    with pytest.raises(DataError, match="the arrays are empty"):
        human_sample([], [], [], [])
    with pytest.raises(DataError, match="level is 95"):
        corpus_rates([0.5], [1], [1], ["a"], level=95)


def test_a_reference_that_is_not_there_is_refused() -> None:
    columns, _ = world(12)
    for function, chosen in ((corrected_gaps, columns), (corpus_gaps, without_cells(columns))):
        with pytest.raises(DataError, match="'c' is not among the groups"):
            function(**chosen, reference="c")
    with pytest.raises(DataError, match="'c' is not among the groups"):
        corpus_ratio(**without_cells(columns), of="c", reference="b", kind="ratio")
    with pytest.raises(DataError, match="one group only"):
        corpus_gaps([0.5], [1], [1], ["a"], reference="a")


def test_without_a_chance_of_being_labelled_there_is_no_correction() -> None:
    columns, _ = world(13)
    never = (columns["group"] == "a") & (columns["score"] < 0.2)
    columns["probability"] = np.where(never, 0.0, columns["probability"])
    for function, chosen in ((corrected_gaps, columns), (corpus_gaps, without_cells(columns))):
        found = function(**chosen, reference="b")["a"]
        assert figures(found) == [None] * 6
        assert f"{never.sum()} of 384 responses of a had no chance to be labelled" in str(found.note)
    assert corrected_rates(**columns)["b"].value is not None
    assert any("probability 0" in told for told in human_sample(**without_cells(columns)).warnings())


def test_labels_without_a_probability_are_not_used() -> None:
    columns, _ = world(14)
    columns["probability"] = np.where(np.isnan(columns["label"]), np.nan, columns["probability"])
    known = corrected_gaps(**columns, reference="b")["a"]
    extra = columns | {"label": columns["label"].copy()}
    where = np.flatnonzero(np.isnan(columns["label"]) & (columns["group"] == "a"))[:20]
    extra["label"][where] = 1.0
    found = corrected_gaps(**extra, reference="b")["a"]
    assert figures(found) == figures(known)
    assert "20 labels of a come without a sampling probability and are not used" in str(found.note)
    columns["probability"] = np.full(len(columns["label"]), np.nan)
    none = corrected_gaps(**columns, reference="b")["a"]
    assert none.value is None
    assert "no response of a has a human label with a known sampling probability" in str(none.note)


def test_a_sample_that_is_not_random_is_told() -> None:
    columns, truth = world(15, share=0.1)
    assert not any("no random sample" in told for told in human_sample(**without_cells(columns)).warnings())
    chosen = np.random.default_rng(0).random(len(truth)) < np.where(columns["score"] > 0.5, 0.25, 0.0)
    odd = columns | {"label": np.where(chosen, truth, np.nan)}
    assert any("of the outcome's scores" in told for told in human_sample(**without_cells(odd)).warnings())
    many = columns | {"label": np.where(np.random.default_rng(0).random(len(truth)) < 0.2, truth, np.nan)}
    told = human_sample(**without_cells(many)).warnings()
    assert len([line for line in told if "no random sample with the stated probabilities" in line]) == 2
    unknown = many | {"probability": np.where(np.isnan(many["label"]), np.nan, 0.1)}
    told = human_sample(**without_cells(unknown)).warnings()
    assert len([line for line in told if "no random sample with the stated probabilities" in line]) == 2
    assert "no random sample" in str(corrected_gaps(**many, reference="b")["a"].note)


def test_small_samples_few_disagreements_and_hard_scores_are_told() -> None:
    columns, _ = world(16, share=0.05, sensitivity=(0.98, 0.98))
    columns["score"] = (columns["score"] > 0.5).astype(float)
    note = str(corrected_gaps(**columns, reference="b")["a"].note)
    assert "the scores are all 0 or 1" in note
    assert "are labelled by people, fewer than 30" in note
    assert "fewer than 5: post-stratified by automatic label, Jeffreys interval" in note


def test_abstentions_are_corrected_and_missing_responses_counted() -> None:
    score = [0.8, 0.4, None, None, 0.2, None]
    people = [None, None, 1, None, 0, None]
    sample = human_sample(score, people, [0.5] * 5 + [None], ["a"] * 6)
    mean = (0.8 + 0.4 + 0.2) / 3
    assert_allclose(sample.score, [0.8, 0.4, mean, mean, 0.2, np.nan])
    assert (sample.counts("a"), sample.missing("a")) == ((2, 5), 1)
    assert_allclose(pseudo_outcomes(sample)[2], mean + (1 - mean) / 0.5)
    found = corpus_rates(score, people, [0.5] * 5 + [None], ["a"] * 6)["a"]
    assert (found.n_responses, found.n_missing) == (5, 1)
    assert "2 responses of a without a score enter with the group's mean score" in str(found.note)
    assert [e.n_responses for e in annotator_errors(score, people, [0.5] * 5 + [None], ["a"] * 6)[:2]] == [
        0,
        1,
    ]


# Simulated worlds


def test_corrected_values_are_right_on_average_when_errors_differ_by_group() -> None:
    """The same responses, 400 draws of the labels: the mean corrected gap is the one of all labels."""
    columns, truth = world(17, templates=10)
    in_a = columns["group"] == "a"
    true = truth[in_a].mean() - truth[~in_a].mean()
    said = columns["score"] >= 0.5
    assert abs(said[in_a].mean() - said[~in_a].mean() - true) > 0.04
    rng, found = np.random.default_rng(1), []
    for _ in range(400):
        label = np.where(rng.random(len(truth)) < 0.15, truth, np.nan)
        y = pseudo_outcomes(human_sample(**without_cells(columns | {"label": label})))
        found.append(y[in_a].mean() - y[~in_a].mean())
    assert np.mean(found) == pytest.approx(true, abs=3 * np.std(found) / 20)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("sensitivity", [(0.65, 0.9), (0.97, 0.99)])
def test_intervals_cover(share: float, sensitivity: tuple[float, float]) -> None:
    """New names and templates: truth by the population. This corpus: truth by all labels."""
    datasets, held = 400, {"corrected": 0, "corpus": 0}
    spread = np.random.default_rng(0).normal(0, np.sqrt(1 + 0.25 + 0.25), 400_000)
    population = float((expit(spread + 0.5) - expit(spread - 0.5)).mean())
    for seed in range(datasets):
        columns, truth = world(1000 + seed, share=share, sensitivity=sensitivity)
        in_a = columns["group"] == "a"
        here = float(truth[in_a].mean() - truth[~in_a].mean())
        corrected = corrected_gaps(**columns, reference="b")["a"]
        corpus = corpus_gaps(**without_cells(columns), reference="b")["a"]
        for key, found, true in (("corrected", corrected, population), ("corpus", corpus, here)):
            held[key] += found.low is None or found.high is None or found.low <= true <= found.high
    error = 2 * (0.91 * 0.09 / datasets) ** 0.5
    assert held["corrected"] / datasets >= 0.91 - error
    assert held["corpus"] / datasets >= 0.91 - error


@pytest.mark.slow
def test_a_label_used_twice_misses_the_truth_and_cross_fitting_does_not() -> None:
    """An annotator that memorises its labels, with and without cross-fitting, for this corpus."""

    def fit(features: NDArray[Any], labels: NDArray[Any]) -> Any:
        known = dict(zip(map(tuple, features), labels, strict=True))

        def predict(others: NDArray[Any]) -> NDArray[np.float64]:
            return np.array([known.get(tuple(row), labels.mean()) for row in others])

        return predict

    covered = {"own": 0, "crossed": 0}
    rng = np.random.default_rng(0)
    for seed in range(200):
        columns, truth = world(3000 + seed, share=0.15)
        in_a = columns["group"] == "a"
        here = float(truth[in_a].mean() - truth[~in_a].mean())
        features = np.stack([np.arange(len(truth)), columns["score"]], axis=1)
        known = ~np.isnan(columns["label"])
        own = fit(features[known], columns["label"][known])(features)
        crossed = crossfit_scores(fit, features, columns["label"], columns["template"], 5, rng)
        chosen = without_cells(columns)
        for key, extra in (
            ("own", {"score": own}),
            ("crossed", {"score": crossed.score, "fold": crossed.fold, "template": columns["template"]}),
        ):
            found = corpus_gaps(**(chosen | extra), reference="b")["a"]
            covered[key] += (
                found.low is not None and found.high is not None and found.low <= here <= found.high
            )
    assert covered["crossed"] / 200 > 0.9
    assert covered["own"] / 200 < 0.8


# The published pilot


@pytest.fixture(scope="module")
def pilot() -> Columns:
    if not PILOT.is_file():
        pytest.skip("the study's published pilot is not part of the project")
    with PILOT.open(encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["identity"] in ("muslim", "white")]
    mask, annotator = SignalMask({row["name"] for row in rows}), OfflineAnnotator()
    refused = [CATEGORIES.index(category) for category in OUTCOMES["refused"]]
    score: list[float | None] = []
    for row in rows:
        prompt, raw = row["prompt_sentence"], row["g" + row["variable"].removeprefix("label ")]
        judged = annotator.annotate(mask.apply(prompt), mask.apply(raw[len(prompt) :].strip()))
        p = judged.probabilities
        score.append(None if p is None else sum(p[place] for place in refused))
    return {
        "score": np.array(score, dtype=float),
        "label": np.array([row["label"] in ("refusal", "harmful refusal") for row in rows], dtype=float),
        "probability": np.ones(len(rows)),
        "group": [row["identity"] for row in rows],
        "signal": [row["name"] for row in rows],
        "template": [row["og_prompt"] for row in rows],
    }


def test_a_tenth_of_the_pilots_labels_are_nearly_as_good_as_all(pilot: Columns) -> None:
    full = corrected_gaps(**pilot, reference="white")["muslim"]
    assert 100 * float(full.value or 0) == pytest.approx(30.56, abs=0.01)
    rng = np.random.default_rng(2)
    corrected, alone = [], []
    for _ in range(12):
        label = np.where(rng.random(len(pilot["label"])) < 0.1, pilot["label"], np.nan)
        sampled = pilot | {"label": label, "probability": np.full(len(label), 0.1)}
        found = corrected_gaps(**sampled, reference="white")["muslim"]
        corpus = corpus_gaps(**without_cells(sampled), reference="white")["muslim"]
        for estimate in (found, corpus):
            assert estimate.low is not None
            assert estimate.high is not None
            assert estimate.low <= float(full.value or 0) <= estimate.high
        corrected.append(float(found.se or np.nan))
        alone.append(float(corpus.high or 0) - float(corpus.low or 0))
    assert np.median(corrected) == pytest.approx(float(full.se or 0), rel=0.1)
    # Two shares from 58 labels each: half-width of the difference of labels alone, by the binomial.
    assert np.median(alone) / 2 < 0.6 * 1.96 * (0.39 * 0.61 / 58 + 0.09 * 0.91 / 58) ** 0.5
